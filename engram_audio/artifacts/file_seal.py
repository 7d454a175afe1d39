"""A parquet file's digest inside the file: of all its bytes, with zeros where the digest stands.

It is an entry of the footer's key-value metadata, so that any reader of parquet still reads the
file. Statistics, filters, types and pages are covered alike.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO

KEY = "engram_audio_sha256"
EMPTY = "0" * 64
MARK = KEY.encode() + b"\x18\x40"  # thrift's compact protocol: a string of 64 bytes follows
MAGIC = b"PAR1"
BLOCK_BYTES = 1 << 20


def write_seal(path: Path) -> None:
    """Put the digest in the place of EMPTY, which the file must hold under KEY."""
    with open(path, "r+b") as handle:
        place = _place(handle)
        if place is None:
            raise ValueError(f"{path}: no place for a digest")
        digest = _digest(handle, place)
        handle.seek(place)
        handle.write(digest.encode())


def is_intact(path: Path) -> bool | None:
    """Whether a file is what was written; None where it has no digest (cut short, or foreign).

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as handle:
        place = _place(handle)
        if place is None:
            return None
        handle.seek(place)
        return handle.read(len(EMPTY)) == _digest(handle, place).encode()


def _place(handle: BinaryIO) -> int | None:
    """Return where the digest begins, found through the length of the footer."""
    size = handle.seek(0, 2)
    handle.seek(max(size - 8, 0))
    tail = handle.read()
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or length > size - 8:
        return None
    start = size - 8 - length
    handle.seek(start)
    found = handle.read(length).rfind(MARK)
    return None if found < 0 else start + found + len(MARK)


def _digest(handle: BinaryIO, place: int) -> str:
    digest = hashlib.sha256()
    handle.seek(0)
    _update(digest, handle, place)
    digest.update(EMPTY.encode())
    handle.seek(place + len(EMPTY))
    _update(digest, handle, None)
    return digest.hexdigest()


def _update(digest: "hashlib._Hash", handle: BinaryIO, num_bytes: int | None) -> None:
    """Hash the next bytes, by default all that follow."""
    left = num_bytes
    while block := handle.read(BLOCK_BYTES if left is None else min(BLOCK_BYTES, left)):
        digest.update(block)
        left = None if left is None else left - len(block)
