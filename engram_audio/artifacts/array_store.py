"""A zarr store of a user's arrays: `latents` [N, D], `offsets` [U + 1], optionally `energy` [N].

zarr 3 by default leaves out chunks that hold nothing but the fill value, and reads any chunk that
is not there as the fill value. A chunk that was lost therefore reads as zeros, without an error.
"""

import dataclasses
import itertools
import math
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.storage import ZipStore

from engram_audio.artifacts.array_file import (
    MAXIMUM_ARRAY_BYTES,
    ZIP_START,
    require_size,
)
from engram_audio.artifacts.regular_file import (
    open_problem,
    open_regular,
    require_regular_if_there,
)
from engram_audio.errors import InputError, one_line

# Attribute of an array or its group: `false` says that chunks of zeros were left out on purpose.
# zarr itself keeps no record of it: `write_empty_chunks` is a setting of the process that writes.
WRITTEN_ATTRIBUTE = "write_empty_chunks"


class ArrayStore:
    """An open store; utterance u is rows `offsets[u]:offsets[u + 1]` of `latents`."""

    def __init__(self, path: Path, num_utterances: int) -> None:
        """Open a store and check that it fits the table.

        Raises:
            InputError: Not a readable group, an array is missing or has another shape, the offsets
                do not ascend from 0 to N, or a chunk of them is missing.
        """
        self._path = path
        self._group = _open_group(path)
        missing = [name for name in ("latents", "offsets") if not self._has(name)]
        if missing:
            raise InputError(f"{path}: the zarr group lacks the array(s) {', '.join(missing)}")
        self._latents = self._array("latents")
        if len(self._latents.shape) != 2:
            raise InputError(
                f"{path}: latents has shape {self._latents.shape}, [frames, dims] is needed; join "
                "the utterances along the first axis"
            )
        self._energy = self._array("energy") if self._has("energy") else None
        self.offsets = self._read_offsets(num_utterances)

    def read(self, number: int) -> tuple[np.ndarray, np.ndarray | None]:
        """Return latents [T, D] and energies [T] of an utterance by its number.

        Raises:
            InputError: A chunk is missing.
            ArrayFileError: The utterance should not be held in memory.
            Exception: Whatever a damaged chunk raises.
        """
        rows = slice(*self.offsets[number : number + 2])
        energy = None if self._energy is None else self._read_rows("energy", self._energy, rows)
        return self._read_rows("latents", self._latents, rows), energy

    def _has(self, name: str) -> bool:
        try:
            return isinstance(self._group[name], zarr.Array)
        except KeyError:
            return False
        except Exception as error:  # whatever damaged metadata raises
            raise InputError(
                f"{self._path}: {name} is not a readable array ({one_line(error)}); write it again"
            ) from error

    def _array(self, name: str) -> Any:
        """Return an array; a chunk, which is unpacked whole, must fit into memory."""
        array = self._group[name]
        num_bytes = math.prod(array.chunks) * array.dtype.itemsize
        if num_bytes > MAXIMUM_ARRAY_BYTES:
            raise InputError(
                f"{self._path}: a chunk of {name} unpacks to {num_bytes} bytes, at most "
                f"{MAXIMUM_ARRAY_BYTES} are read; write the store with smaller chunks"
            )
        return array

    def _read_offsets(self, num_utterances: int) -> list[int]:
        """Return the offsets as Python integers: unsigned ones have no negative differences."""
        array, length = self._array("offsets"), int(self._latents.shape[0])
        rule = (
            f"offsets must be {num_utterances + 1} ascending integers from 0 to {length}, one "
            "slice for each row of the table"
        )
        if array.shape != (num_utterances + 1,) or array.dtype.kind not in "iu":
            found = f"shape {array.shape} of {array.dtype}"
            raise InputError(f"{self._path}: {rule}; found {found}, write them again")
        try:
            values = np.asarray(array[:])
            # the first offset is 0 whether its chunk is there or not
            self._require_chunks("offsets", array, slice(1, None), values[1:])
        except InputError:
            raise
        except Exception as error:  # whatever a damaged chunk raises
            raise InputError(
                f"{self._path}: offsets cannot be read ({one_line(error)}); write them again"
            ) from error
        offsets = [int(value) for value in values.tolist()]
        falls = [n for n, (a, b) in enumerate(itertools.pairwise(offsets), 1) if b < a]
        if offsets[0] != 0 or offsets[-1] != length or falls:
            place = falls[0] if falls else 0 if offsets[0] != 0 else len(offsets) - 1
            raise InputError(
                f"{self._path}: {rule}; offset {place} is {offsets[place]}, write them again"
            )
        return offsets

    def _read_rows(self, name: str, array: Any, rows: slice) -> np.ndarray:
        num_bytes = math.prod((rows.stop - rows.start, *array.shape[1:])) * array.dtype.itemsize
        require_size(num_bytes, f"{name} holds")
        values = np.asarray(array[rows])
        self._require_chunks(name, array, rows, values)
        return values

    def _require_chunks(self, name: str, array: Any, rows: slice, values: np.ndarray) -> None:
        """Refuse values that no chunk holds: they follow when the fill value is changed."""
        if self._leaves_out(array) or not _may_be_filled(values, array.fill_value):
            return
        others = np.asarray(_with_other_fill(array)[rows])
        same = (others == values) | ((others != others) & (values != values))
        if same.all():
            return
        row = rows.start + int(np.argwhere(~same)[0][0])
        raise InputError(
            f"{self._path}: the chunk of {name} that holds row {row} is missing and reads as "
            f"{array.fill_value}; write the store again with zarr.config.set("
            "{'array.write_empty_chunks': True}), or, if chunks of this value were left out on "
            f"purpose, say so by the attribute {WRITTEN_ATTRIBUTE}: false of {name}"
        )

    def _leaves_out(self, array: Any) -> bool:
        holders = (array, self._group)
        return any(holder.attrs.get(WRITTEN_ATTRIBUTE) is False for holder in holders)


def is_store(path: Path) -> bool:
    """Whether a path is a zarr group in a zip, or in a folder.

    Raises:
        InputError: A file that is no zip.
    """
    if path.is_dir():
        return any((path / name).exists() for name in ("zarr.json", ".zgroup"))
    try:
        with open_regular(path) as handle:
            start = handle.read(len(ZIP_START))
            if zipfile.is_zipfile(handle):
                return True
    except OSError as error:
        raise InputError(f"{path}: {open_problem(error)[1]}; correct `path`") from error
    what = "is a damaged zip" if start == ZIP_START else "is a file, and no zip"
    raise InputError(
        f"{path}: {what}; a folder of .npy files, or a zarr store, is needed: write it again"
    )


def _open_group(path: Path) -> Any:
    if not path.is_file():
        _require_plain_store(path)
    try:
        return zarr.open_group(ZipStore(path, mode="r") if path.is_file() else str(path), mode="r")
    except Exception as error:
        raise InputError(
            f"{path}: not a readable zarr group ({one_line(error)}); write it again"
        ) from error


def _require_plain_store(path: Path) -> None:
    """Refuse a store with a FIFO, socket or device inside: zarr would wait for it for ever."""
    for folder, _, names in os.walk(path):
        for name in names:
            require_regular_if_there(Path(folder, name), "take it out of the store")


def _may_be_filled(values: np.ndarray, fill: Any) -> bool:
    """Whether a value equals the fill value: most chunks are proved present by this alone."""
    if fill is None or fill != fill:  # nothing is known of it, or NaN
        return True
    return bool(np.any(values == fill))


def _with_other_fill(array: Any) -> Any:
    """Return the same array, read with another value where a chunk is missing."""
    one = array.dtype.type(1)
    other = one if array.fill_value is None or array.fill_value != one else array.dtype.type(0)
    metadata = dataclasses.replace(array.metadata, fill_value=other)
    return zarr.Array(
        zarr.AsyncArray(metadata=metadata, store_path=array.store_path, config=array.config)
    )
