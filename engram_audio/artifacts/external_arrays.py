"""Arrays that a user brings: a CSV table, and .npy / .npz per utterance or one zarr store.

The table has `utterance_id`, `speaker_id` and optionally `sex`, `frame_rate_hz` (checked against
that of the representation) and `file` (relative to the folder; by default `<utterance_id>.npy`, or
`.npz`). An .npz holds `latents` and optionally `energy`. A zarr store holds `latents` [N, D],
`offsets` [U + 1] and optionally `energy` [N]; row u of the table is slice u. Nothing is unpickled.
"""

import os
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import zarr
from zarr.storage import ZipStore

from engram_audio.artifacts.regular_file import (
    open_problem,
    open_regular,
    require_regular_if_there,
)
from engram_audio.errors import InputError
from engram_audio.latents.arrays import ArrayRow

SEXES = {"F": "F", "M": "M", "f": "F", "m": "M", "female": "F", "male": "M"}


def read_array_table(path: Path) -> pd.DataFrame:
    """Read the user's table; all values are text.

    Raises:
        InputError: Missing, not a CSV, empty, or a column is absent or has an empty cell.
    """
    try:
        with open_regular(path) as handle:
            table = pd.read_csv(handle, dtype=str, keep_default_na=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; it lists utterance_id and speaker_id") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not a readable CSV table ({error})") from error
    for column in ("utterance_id", "speaker_id"):
        if column not in table.columns:
            raise InputError(f"{path}: lacks the column {column}; add it")
        empty = np.flatnonzero(table[column].str.strip() == "")
        if len(empty):
            raise InputError(f"{path}: row {int(empty[0]) + 2} has no {column}; fill it in")
    if table.empty:
        raise InputError(f"{path}: has no rows; list one utterance per row")
    return table


def read_arrays(
    path: Path, table: pd.DataFrame, utterance_ids: Collection[str] | None = None
) -> Iterator[ArrayRow]:
    """Yield the table's rows in order with their arrays; a row that fails says why.

    Args:
        path: Folder, or zarr store.
        table: Of `read_array_table`.
        utterance_ids: Which utterances to read, by default all.

    Raises:
        InputError: `path` does not exist, or the zarr store does not fit the table.
    """
    if not path.exists():
        raise InputError(f"{path}: no such folder or store; correct `path` of the representation")
    group = _open_store(path)
    offsets = None if group is None else _store_offsets(path, group, len(table))
    wanted = None if utterance_ids is None else frozenset(utterance_ids)
    for number, record in enumerate(table.to_dict("records")):
        if wanted is not None and record["utterance_id"] not in wanted:
            continue
        row = ArrayRow(
            utterance_id=record["utterance_id"],
            speaker_id=record["speaker_id"],
            sex=SEXES.get(record.get("sex", ""), "unknown"),
            path=str(path),
            latents=None,
            energy=None,
            failure=None,
            rate=record.get("frame_rate_hz", ""),
        )
        if group is not None and offsets is not None:
            yield _read_slice(row, group, int(offsets[number]), int(offsets[number + 1]))
        else:
            yield _read_file(row, _file_of(path, record))


def _open_store(path: Path) -> zarr.Group | None:
    is_zip = path.is_file() and zipfile.is_zipfile(path)
    if not is_zip and not any((path / name).exists() for name in ("zarr.json", ".zgroup")):
        return None
    if not is_zip:
        _require_plain_store(path)
    try:
        return zarr.open_group(ZipStore(path, mode="r") if is_zip else str(path), mode="r")
    except Exception as error:
        raise InputError(f"{path}: not a readable zarr group ({error})") from error


def _require_plain_store(path: Path) -> None:
    """Refuse a store with a FIFO, socket or device inside: zarr would wait for it for ever."""
    for folder, _, names in os.walk(path):
        for name in names:
            require_regular_if_there(Path(folder, name), "take it out of the store")


def _store_offsets(path: Path, group: zarr.Group, num_rows: int) -> np.ndarray:
    missing = [name for name in ("latents", "offsets") if name not in group]
    if missing:
        raise InputError(f"{path}: the zarr group lacks the array(s) {', '.join(missing)}")
    store: Any = group
    offsets, length = np.asarray(store["offsets"][:]), store["latents"].shape[0]
    fits = offsets.shape == (num_rows + 1,) and offsets.dtype.kind in "iu"
    if not fits or offsets[0] != 0 or offsets[-1] != length or np.any(np.diff(offsets) < 0):
        raise InputError(
            f"{path}: offsets must be {num_rows + 1} ascending integers from 0 to {length}, one "
            "slice for each row of the table"
        )
    return offsets.astype(np.int64)


def _read_slice(row: ArrayRow, group: Any, start: int, stop: int) -> ArrayRow:
    try:
        energy = np.asarray(group["energy"][start:stop]) if "energy" in group else None
        return row._replace(latents=np.asarray(group["latents"][start:stop]), energy=energy)
    except Exception as error:  # whatever a damaged chunk raises
        return row._replace(failure=("unreadable", f"{type(error).__name__}: {error}"))


def _file_of(path: Path, record: dict[Any, Any]) -> Path:
    name = record.get("file", "")
    if name:
        return path / name
    stem = Path(record["utterance_id"]).name  # never outside the folder
    plain = path / f"{stem}.npy"
    return plain if plain.exists() else path / f"{stem}.npz"


def _read_file(row: ArrayRow, file: Path) -> ArrayRow:
    row = row._replace(path=str(file))
    try:
        handle = open_regular(file)
    except FileNotFoundError:
        return row._replace(failure=("missing_file", "no such file"))
    except OSError as error:
        return row._replace(failure=open_problem(error))
    try:
        with handle:
            content: Any = np.load(handle, allow_pickle=False)
            if isinstance(content, np.ndarray):
                return row._replace(latents=content)
            if "latents" not in content:
                return row._replace(failure=("missing_array", "no array called latents"))
            energy = content.get("energy")
            return row._replace(latents=content["latents"], energy=energy)
    except (ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
        return row._replace(failure=("unreadable", " ".join(str(error).split())))
