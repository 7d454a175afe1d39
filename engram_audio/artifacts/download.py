"""Download a file by HTTP so that an interruption costs nothing but the time since."""

import hashlib
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

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
) -> None:
    """Download to `target`, resuming `<target>.part` where an earlier attempt left one.

    Args:
        url: http or https.
        target: Where the file goes once it is whole and its digest is right.
        md5: Published MD5 of the whole file.
        on_progress: Called with bytes so far and bytes in all, if the server says.
        pause_s: First pause after a failure; doubles with each failure in a row.

    Raises:
        InputError: The server refuses, cannot be reached, or sends a file with another digest
            (which is then deleted).
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
                raise _refusal(url, target, f"HTTP {error.code} {error.reason}") from error
            failures = 1 if _size(part) > before else failures + 1
            if failures >= ATTEMPTS:
                raise _refusal(url, target, str(error)) from error
            time.sleep(pause_s * 2 ** (failures - 1))
    found = _md5(part)
    if found != md5:
        part.unlink()
        raise InputError(
            f"{url}: MD5 {found}, published is {md5}; the file was deleted, run again, and if it "
            "comes out the same, do not use that server"
        )
    os.replace(part, target)


def _refusal(url: str, target: Path, reason: str) -> InputError:
    return InputError(
        f"{url}: cannot be downloaded ({reason}); run again to resume, or put the file's content "
        f"into {target.parent} yourself"
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)  # as published; guards against accidents only
    with open(path, "rb") as handle:
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
        with open(part, "ab" if start else "wb") as handle:
            while block := response.read(BLOCK_BYTES):
                handle.write(block)
                done += len(block)
                on_progress(done, total)
    if total is not None and done < total:
        raise _TryAgain(f"the connection closed after {done} of {total} bytes")


def _check_range(header: str, start: int) -> None:
    match = re.match(r"bytes (\d+)-", header)
    if match is None or int(match.group(1)) != start:
        raise _TryAgain(f"the server resumed at {header!r} instead of byte {start}")
