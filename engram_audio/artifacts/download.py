"""Download a file by HTTP so that an interruption costs nothing but the time since."""

import contextlib
import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from io import FileIO
from pathlib import Path
from typing import BinaryIO

from engram_audio.artifacts.atomic import disk_faults_named
from engram_audio.errors import InputError

BLOCK_BYTES = 1 << 20
TIMEOUT_S = 60.0
ATTEMPTS = 5  # in a row without a new byte
FIRST_PAUSE_S = 1.0


class _TryAgain(Exception):
    """The transfer broke off; what came is kept."""


def download(
    url: str,
    target: Path,
    md5: str,
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
    pause_s: float = FIRST_PAUSE_S,
    by_hand: str = "",
) -> None:
    """Download to `target`, resuming `<target>.part` where an earlier attempt left one.

    Args:
        url: http or https.
        target: Where the file goes once it is whole and its digest is right.
        md5: Published MD5 of the whole file.
        on_progress: Called with bytes so far and bytes in all, if the server says.
        pause_s: First pause after a failure; doubles with each failure in a row.
        by_hand: What a person can do without the server, for the message of a refusal.

    Raises:
        InputError: The server refuses, cannot be reached, or sends a file with another digest
            (which is then deleted). Or the disk is full, or cannot be written to.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f"{target.name}.part")
    failures = 0
    while True:
        before = _size(part)
        try:
            _transfer(url, part, on_progress)
            break
        except (_TryAgain, http.client.HTTPException, OSError) as error:
            if isinstance(error, urllib.error.HTTPError) and error.code < 500:
                raise _refusal(url, by_hand, f"HTTP {error.code} {error.reason}") from error
            failures = 1 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise _refusal(url, by_hand, str(error)) from error
            time.sleep(pause_s * 2 ** (failures - 1))
    with open(part, "rb") as handle:
        found = md5_of(handle)
    if found != md5:
        part.unlink()
        raise InputError(
            f"{url}: MD5 {found}, published is {md5}; the downloaded file was deleted, run again, "
            "and if it comes out the same, do not use that server"
        )
    with disk_faults_named(target):
        os.replace(part, target)


def _refusal(url: str, by_hand: str, reason: str) -> InputError:
    otherwise = f", or {by_hand}" if by_hand else ""
    return InputError(f"{url}: cannot be downloaded ({reason}); run again to resume{otherwise}")


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def md5_of(handle: BinaryIO) -> str:
    """Return the MD5 of a file from where it is read on, as hex digits."""
    digest = hashlib.md5(usedforsecurity=False)  # as published; guards against accidents only
    while block := handle.read(BLOCK_BYTES):
        digest.update(block)
    return digest.hexdigest()


def _transfer(url: str, part: Path, on_progress: Callable[[int, int | None], None]) -> None:
    """Append what `part` still lacks; start again where the server does not resume."""
    start = _size(part)
    request = urllib.request.Request(url, headers={"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != 416 or not start:
            raise
        if error.headers.get("Content-Range") == f"bytes */{start}":
            return  # all there
        part.unlink()
        raise _TryAgain("the partial file is longer than the server's; started again") from error
    with response:
        if start and response.status == 206:
            _check_range(response.headers.get("Content-Range", ""), start)
        else:
            start = 0
        length = response.headers.get("Content-Length")
        total = start + int(length) if length else None
        done = start
        with _opened(part, "ab" if start else "wb") as handle:
            while block := response.read(BLOCK_BYTES):
                _append(part, handle, block)
                done += len(block)
                on_progress(done, total)
    if total is not None and done < total:
        raise _TryAgain(f"the connection closed after {done} of {total} bytes")


@contextlib.contextmanager
def _opened(part: Path, mode: str) -> Iterator[FileIO]:
    """Open unbuffered: a full disk then shows where a block is written, not again at the end."""
    with disk_faults_named(part):
        handle = FileIO(part, mode)
    with handle:
        yield handle


def _append(part: Path, handle: FileIO, block: bytes) -> None:
    rest = memoryview(block)
    with disk_faults_named(part, "what came is kept"):
        while rest:
            rest = rest[handle.write(rest) :]


def _check_range(header: str, start: int) -> None:
    match = re.match(r"bytes (\d+)-", header)
    if match is None or int(match.group(1)) != start:
        raise _TryAgain(f"the server resumed at {header!r} instead of byte {start}")
