"""One .npy or .npz of a user: read only where header and size agree, and never more than fits.

numpy allocates what a header declares, and reads an .npz member whatever it unpacks to. Here the
size is known before anything is allocated. Nothing is unpickled.
"""

import math
import os
import warnings
import zipfile
from typing import IO, BinaryIO

import numpy as np

# An hour at 50 Hz in 1024 dimensions of float32 is 0.7 GiB.
MAXIMUM_ARRAY_BYTES = 2**30
ZIP_START = b"PK"
MEMBERS = ("latents", "energy")
# How files begin that are often called .npy.
OTHER_STARTS = {
    b"\x1f\x8b": "is packed by gzip; unpack it",
    b"\x89HDF": "is an HDF5 file; save the array as .npy",
    b"version https://git-lfs": "is a pointer of Git LFS; fetch the file by `git lfs pull`",
}
READ_HEADER = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class ArrayFileError(ValueError):
    """A file of arrays is damaged, too large, or holds what is not read."""


def read_array_file(handle: BinaryIO) -> dict[str, np.ndarray]:
    """Return the arrays called `latents` and `energy` that a file holds; an .npy is `latents`.

    Args:
        handle: An open .npy or .npz, at its start.

    Raises:
        ArrayFileError: Header and size disagree, or an array is larger than MAXIMUM_ARRAY_BYTES.
        Exception: Whatever else numpy, zipfile and zlib raise for a damaged file.
    """
    start = handle.read(max(map(len, OTHER_STARTS)))
    handle.seek(0)
    if not start:
        raise ArrayFileError("the file is empty; save the array again")
    for other, problem in OTHER_STARTS.items():
        if start.startswith(other):
            raise ArrayFileError(problem)
    if not start.startswith(ZIP_START):
        return {"latents": _read_npy(handle, os.fstat(handle.fileno()).st_size)}
    with zipfile.ZipFile(handle) as archive:
        return {
            name: _read_member(archive, f"{name}.npy")
            for name in MEMBERS
            if f"{name}.npy" in archive.namelist()
        }


def _read_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    if archive.namelist().count(name) > 1:
        raise ArrayFileError(f"two members are called {name}")
    info = archive.getinfo(name)
    require_size(info.file_size, f"{name} unpacks to")
    with archive.open(info) as member:
        return _read_npy(member, info.file_size)


def require_size(num_bytes: int, what: str) -> None:
    """Refuse an array that should not be held in memory.

    Raises:
        ArrayFileError: It is larger than MAXIMUM_ARRAY_BYTES.
    """
    if num_bytes > MAXIMUM_ARRAY_BYTES:
        raise ArrayFileError(
            f"{what} {num_bytes} bytes, at most {MAXIMUM_ARRAY_BYTES} are read; cut it into "
            "utterances"
        )


def _read_npy(stream: IO[bytes], num_bytes: int) -> np.ndarray:
    shape, is_fortran, dtype = _read_header(stream)
    if dtype.hasobject:
        raise ArrayFileError("holds Python objects, which are not unpickled; save numbers")
    if any(size < 0 for size in shape):
        raise ArrayFileError(f"its header declares the shape {shape}; save it again")
    declared, held = math.prod(shape) * dtype.itemsize, num_bytes - stream.tell()
    if declared != held:
        raise ArrayFileError(
            f"its header declares {declared} bytes and {held} follow; save it again"
        )
    require_size(declared, "holds")
    content = stream.read(declared)
    if len(content) != declared:
        raise ArrayFileError(f"{declared} bytes follow its header and {len(content)} can be read")
    return np.ndarray(shape, dtype, content, order="F" if is_fortran else "C")


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(stream)
    if version not in READ_HEADER:
        raise ArrayFileError(f"npy format {version[0]}.{version[1]}, 1.0 and 2.0 are read")
    with warnings.catch_warnings():  # of headers by Python 2, and of odd literals in damaged ones
        warnings.simplefilter("ignore")
        return READ_HEADER[version](stream)
