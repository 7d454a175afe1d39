"""A parquet file's digest inside the file: of all its bytes, with zeros where the digest stands.

It is an entry of the footer's key-value metadata, so that any reader of parquet still reads the
file. Statistics, filters, types and pages are covered alike.
"""

import hashlib
from pathlib import Path
from typing import BinaryIO, NamedTuple

KEY = "engram_audio_sha256"
EMPTY = "0" * 64
TEXT = b"\x18"  # thrift's compact protocol: a text follows, its length first
MAGIC = b"PAR1"
BLOCK_BYTES = 1 << 20


def write_seal(path: Path) -> None:
    """Put the digest in the place of EMPTY, which the file must hold under KEY."""
    with open(path, "r+b") as handle:
        place = _place(handle, KEY)
        if place is None or place.length != len(EMPTY):
            raise ValueError(f"{path}: no place for a digest")
        digest = _digest(handle, place.start)
        handle.seek(place.start)
        handle.write(digest.encode())


def is_intact(path: Path) -> bool | None:
    """Whether a file is what was written; None where it has no digest (cut short, or foreign).

    Raises:
        OSError: The file cannot be read.
    """
    with open(path, "rb") as handle:
        place = _place(handle, KEY)
        if place is None or place.length != len(EMPTY):
            return None
        handle.seek(place.start)
        return handle.read(len(EMPTY)) == _digest(handle, place.start).encode()


def read_entry(path: Path, key: str) -> bytes | None:
    """Return a text of the footer's metadata, or None; only the footer is read, and not parsed.

    A parser of a damaged footer may take forever.

    Raises:
        OSError: The file cannot be read.
        ValueError: It does not end in a footer.
    """
    with open(path, "rb") as handle:
        if not _footer(handle)[1]:
            raise ValueError("no footer: cut short, or no parquet file")
        place = _place(handle, key)
        if place is None:
            return None
        handle.seek(place.start)
        return handle.read(place.length)


class _Place(NamedTuple):
    """Where a text of the metadata stands, in bytes."""

    start: int
    length: int


def _place(handle: BinaryIO, key: str) -> _Place | None:
    """Find the text under a key in the footer; None where there is no such key or no footer."""
    start, footer = _footer(handle)
    mark = key.encode() + TEXT
    found = footer.rfind(mark)
    if found < 0:
        return None
    num_bytes, begin = _number(footer, found + len(mark))
    return _Place(start + begin, num_bytes)


def _footer(handle: BinaryIO) -> tuple[int, bytes]:
    """Return where the footer begins, and its bytes; none where the file does not end in one."""
    size = handle.seek(0, 2)
    handle.seek(max(size - 8, 0))
    tail = handle.read()
    length = int.from_bytes(tail[:4], "little")
    if tail[4:] != MAGIC or length > size - 8:
        return size, b""
    handle.seek(size - 8 - length)
    return size - 8 - length, handle.read(length)


def _number(content: bytes, place: int) -> tuple[int, int]:
    """Return a number of thrift, seven bits a byte, low bits first, and where it ends."""
    number = 0
    for shift, byte in enumerate(content[place : place + 5]):
        number |= (byte & 0x7F) << (7 * shift)
        if byte < 0x80:
            return number, place + shift + 1
    return number, place + 5


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
