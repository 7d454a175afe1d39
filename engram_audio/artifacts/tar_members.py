"""Walk the members of a .tar.gz from a stranger, with bounds on what it may cost.

tarfile believes every size that it reads: a header of 4 GB is held in memory, a negative size moves
the walk backwards for ever. So it reads through a window that only moves forwards, ends at a
budget, and gives out a few KiB for the headers of one member.
"""

import gzip
import tarfile
from collections.abc import Iterator
from typing import Any, BinaryIO

MAXIMUM_EXPANSION = 20  # FLAC does not shrink in gzip: real archives are near 1
SPARE_BYTES = 1 << 20  # the padding of small archives shrinks well
MAXIMUM_MEMBERS = 1_000_000  # the largest subset has 150,000
MAXIMUM_HEADER_BYTES = 8192  # of one member, extended headers included; real ones have 1,024
MAXIMUM_GLOBAL_HEADERS = 64  # what a pax archive says about all its members; real ones have 1


class HostileTarError(Exception):
    """Unpacking the archive would cost more than it may, or the archive contradicts itself."""


class _Window:
    """What tarfile reads from: the unpacked stream, forwards only, within a budget."""

    def __init__(self, stream: gzip.GzipFile, budget: int) -> None:
        self._stream = stream
        self._budget = budget
        self.header_bytes: int | None = None  # left for this header; None while content is read
        self.last = b""

    def read(self, size: int) -> bytes:
        if self.header_bytes is not None:
            if not 0 <= size <= self.header_bytes:
                raise HostileTarError(f"has a header of more than {MAXIMUM_HEADER_BYTES} bytes")
            self.header_bytes -= size
        self.last = self._stream.read(size)
        return self.last

    def tell(self) -> int:
        return self._stream.tell()

    def seek(self, position: int) -> int:
        if position < self._stream.tell():
            raise HostileTarError("has a size that leads backwards")
        if position > self._budget:
            raise HostileTarError(f"unpacks to more than {MAXIMUM_EXPANSION} times its own size")
        return self._stream.seek(position)


def walk(archive: BinaryIO, num_bytes: int) -> Iterator[tuple[tarfile.TarFile, tarfile.TarInfo]]:
    """Yield the open archive and each member in order, from the start of the file.

    Args:
        archive: Bytes of the .tar.gz; it is read from its beginning.
        num_bytes: Its size, which the budget is a multiple of.

    Raises:
        HostileTarError: The message goes on after the name of the archive.
        tarfile.TarError, EOFError, OSError, zlib.error: Not a whole .tar.gz.
    """
    archive.seek(0)
    with gzip.GzipFile(fileobj=archive, mode="rb") as stream:
        window: Any = _Window(stream, MAXIMUM_EXPANSION * num_bytes + SPARE_BYTES)
        window.header_bytes = MAXIMUM_HEADER_BYTES
        with tarfile.TarFile(fileobj=window) as handle:  # reads the first header
            for _ in range(MAXIMUM_MEMBERS):
                member = _next(handle, window)
                if member is None:
                    return
                yield handle, member
    raise HostileTarError(f"has more than {MAXIMUM_MEMBERS} members")


def _next(handle: tarfile.TarFile, window: _Window) -> tarfile.TarInfo | None:
    window.header_bytes = MAXIMUM_HEADER_BYTES
    member = handle.next()
    window.header_bytes = None
    if member is None and window.last.strip(b"\0"):
        raise tarfile.ReadError("a header is damaged")  # tarfile takes that for the end
    if member is None and len(window.last) < tarfile.BLOCKSIZE:
        raise tarfile.ReadError("it ends without its end mark")
    if len(handle.pax_headers) > MAXIMUM_GLOBAL_HEADERS:
        raise HostileTarError(f"has more than {MAXIMUM_GLOBAL_HEADERS} global headers")
    vars(handle)["members"].clear()  # or it keeps every header that it has read
    return member
