"""Arrays that a user brings: a CSV table, and .npy / .npz per utterance or one zarr store.

The table has `utterance_id`, `speaker_id` and optionally `sex`, `frame_rate_hz` (checked against
that of the representation) and `file` (relative to the folder). Without `file` it is
`<utterance_id>.npy` or `.npz`, and an id may end in either. An .npz holds `latents` and optionally
`energy`. A zarr store holds `latents` [N, D], `offsets` [U + 1] and optionally `energy` [N]; row u
of the table is slice u. A file stays below the folder. Nothing is unpickled.
"""

import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from engram_audio.artifacts.array_file import ArrayFileError, read_array_file
from engram_audio.artifacts.array_store import ArrayStore, is_store
from engram_audio.artifacts.regular_file import open_problem, open_regular
from engram_audio.artifacts.text_table import read_text_table
from engram_audio.corpus.identities import require_distinct
from engram_audio.corpus.sexes import UNKNOWN, sex_of
from engram_audio.errors import InputError, one_line, printable
from engram_audio.latents.array_row import ArrayRow

ARRAY_SUFFIXES = (".npy", ".npz")
OTHER_TITLES = {
    "utterance_id": ("utt_id",),
    "speaker_id": ("client_id", "reader_id", "spk_id"),
    "sex": ("gender",),
}
# What else latents are saved as: named where the file that is read is missing.
OTHER_SUFFIXES = (".npy.gz", ".pt", ".pth", ".safetensors", ".h5", ".hdf5", ".mat", ".csv", ".txt")


def read_array_table(path: Path) -> pd.DataFrame:
    """Read the user's table; all values are text.

    Raises:
        InputError: Missing, not a CSV, empty, a column is absent or has an empty cell, or two ids
            are spellings of one.
    """
    table = read_text_table(path, ("utterance_id", "speaker_id"), OTHER_TITLES)
    for kind in ("speaker", "utterance"):
        remedy = f"write every {kind} one way in all rows"
        require_distinct(str(path), kind, table[f"{kind}_id"], remedy)
    return table


class ArrayRows:
    """The table's rows with their arrays, read anew in each iteration (`read_arrays` makes one)."""

    def __init__(
        self, path: Path, table: pd.DataFrame, utterance_ids: Collection[str] | None = None
    ) -> None:
        """Open the folder or store; arrays are read only as they are iterated over."""
        if not path.exists():
            raise InputError(
                f"{path}: no such folder or store; correct `path` of the representation"
            )
        self._path, self._table = path, table
        self._store = ArrayStore(path, len(table)) if is_store(path) else None
        self._wanted = None if utterance_ids is None else frozenset(utterance_ids)

    def __iter__(self) -> Iterator[ArrayRow]:
        """Yield the wanted rows in the table's order; one array is held at a time."""
        for number, record in enumerate(self._table.to_dict("records")):
            if self._wanted is None or record["utterance_id"] in self._wanted:
                yield self._read(number, record)

    def _read(self, number: int, record: dict[Any, Any]) -> ArrayRow:
        row = ArrayRow(
            utterance_id=record["utterance_id"],
            speaker_id=record["speaker_id"],
            sex=sex_of(record.get("sex", "")) or UNKNOWN,
            path=printable(str(self._path)),
            latents=None,
            energy=None,
            failure=None,
            rate=record.get("frame_rate_hz", ""),
            sex_as_written=record.get("sex", ""),
        )
        if self._store is not None:
            return _read_slice(row, self._store, number)
        file = _file_of(self._path, record)
        row = row._replace(path=printable(str(file)))
        if not _lies_in(self._path, file):
            return row._replace(failure=("outside_folder", f"not below {self._path}"))
        if not record.get("file") and not os.path.lexists(file):  # either suffix would do
            return row._replace(failure=("missing_file", _missing(file)))
        return _read_file(row, file)


def read_arrays(
    path: Path, table: pd.DataFrame, utterance_ids: Collection[str] | None = None
) -> ArrayRows:
    """Return the table's rows in order with their arrays; a row that fails says why.

    Args:
        path: Folder, or zarr store.
        table: Of `read_array_table`.
        utterance_ids: Which utterances to read, by default all.

    Raises:
        InputError: `path` does not exist, or the zarr store does not fit the table; while the rows
            are read, a chunk of the store is missing.
    """
    return ArrayRows(path, table, utterance_ids)


def _read_slice(row: ArrayRow, store: ArrayStore, number: int) -> ArrayRow:
    try:
        latents, energy = store.read(number)
    except InputError:
        raise  # of the store as a whole: no row of it can be trusted
    except Exception as error:  # whatever a damaged chunk raises
        return row._replace(failure=("unreadable", _said(error)))
    return row._replace(latents=latents, energy=energy)


def _said(error: Exception) -> str:
    """What another library says; the remedy, after a semicolon, is ours."""
    return one_line(error).replace(";", ",")


def _file_of(path: Path, record: dict[Any, Any]) -> Path:
    name = record.get("file", "")
    if name:
        written, other = path / name, path / name.replace("\\", "/")
        return written if os.path.lexists(written) else other
    own = path / record["utterance_id"]
    places = [path / f"{record['utterance_id']}{suffix}" for suffix in ARRAY_SUFFIXES]
    if own.suffix in ARRAY_SUFFIXES:  # some tables list files
        places.append(own)
    return next((place for place in places if os.path.lexists(place)), places[0])


def _missing(file: Path) -> str:
    """Return what is missing, and what lies there in its place."""
    found = f"no such file, nor {printable(file.with_suffix('.npz').name)}, directly in `path`"
    for suffix in OTHER_SUFFIXES:
        other = file.with_suffix(suffix)
        if os.path.lexists(other):
            return f"{found} ({printable(other.name)} is there); save it as .npy"
    return f"{found}; add it, or write its place into a column `file`"


def _lies_in(folder: Path, file: Path) -> bool:
    """Whether a file lies in a folder once `..` and links are followed."""
    try:
        return Path(os.path.realpath(file)).is_relative_to(os.path.realpath(folder))
    except ValueError:  # a NUL in the name
        return False


def _read_file(row: ArrayRow, file: Path) -> ArrayRow:
    try:
        handle = open_regular(file)
    except FileNotFoundError:
        return row._replace(failure=("missing_file", "no such file"))
    except OSError as error:
        return row._replace(failure=open_problem(error))
    try:
        with handle:
            content = read_array_file(handle)
    except ArrayFileError as error:
        return row._replace(failure=("unreadable", one_line(error)))
    except Exception as error:  # whatever a damaged file raises, of numpy, zipfile and zlib
        return row._replace(failure=("unreadable", f"no .npy or .npz ({_said(error)})"))
    if "latents" not in content:
        return row._replace(failure=("missing_array", "an .npz without an array called latents"))
    return row._replace(latents=content["latents"], energy=content.get("energy"))
