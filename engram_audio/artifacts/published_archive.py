"""The archive of a subset: placed by a person or downloaded, and in both cases the published one.

`<subset>.tar.gz` is a person's and is never deleted. What is downloaded has a name of its own and
is deleted once it is unpacked.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal, NamedTuple

from engram_audio.artifacts.download import download, md5_of
from engram_audio.artifacts.librispeech_archive import open_archive
from engram_audio.errors import InputError


class Archive(NamedTuple):
    """A whole archive whose MD5 is the published one."""

    path: Path
    origin: Literal["found", "downloaded"]
    num_bytes: int
    md5: str


def found_path(root: Path, subset: str) -> Path:
    """Where a person places an archive."""
    return root / f"{subset}.tar.gz"


def downloaded_path(root: Path, subset: str) -> Path:
    """Where an archive is downloaded to."""
    return root / f"{subset}.downloaded.tar.gz"


def remove_download(root: Path, subset: str) -> None:
    """Remove what was downloaded; a read-only folder holds nothing of ours."""
    with contextlib.suppress(OSError):
        downloaded_path(root, subset).unlink()


def obtain_archive(
    root: Path,
    subset: str,
    url: str,
    published: Mapping[str, str],
    on_progress: Callable[[int, int | None], None] = lambda done, total: None,
) -> Archive:
    """Verify the archive that a person placed, else download one.

    Args:
        root: Folder of the corpus.
        subset: Name of the subset.
        url: Where the archive is downloaded.
        published: MD5 of the archive of each subset.
        on_progress: Called with bytes so far and bytes in all, if the server says.

    Raises:
        InputError: The archive that was found is not the published one, or cannot be read. Or it
            cannot be downloaded.
    """
    found, own = found_path(root, subset), downloaded_path(root, subset)
    if os.path.lexists(found):
        return _verified_found(found, subset, published)
    if not os.path.lexists(own):
        by_hand = f"put {found.name} into {root} yourself"
        download(url, own, published[subset], on_progress, by_hand=by_hand)
    md5, num_bytes = _measure(own)
    if md5 != published[subset]:  # left by an earlier run, and damaged since
        own.unlink()
        raise InputError(
            f"{own}: downloaded earlier, has MD5 {md5}, published is {published[subset]}; it was "
            "deleted, run again"
        )
    return Archive(own, "downloaded", num_bytes, md5)


def _verified_found(path: Path, subset: str, published: Mapping[str, str]) -> Archive:
    md5, num_bytes = _measure(path)
    if md5 == published[subset]:
        return Archive(path, "found", num_bytes, md5)
    others = [name for name, digest in published.items() if digest == md5]
    what = f"it is the archive of {others[0]}" if others else "it is cut short, damaged or another"
    raise InputError(
        f"{path}: found there ({num_bytes} bytes), has MD5 {md5}, published for {subset} is "
        f"{published[subset]}: {what}; nothing was unpacked or deleted, replace the file, or move "
        "it away to have the archive downloaded"
    )


def _measure(path: Path) -> tuple[str, int]:
    """Return MD5 and size of a file."""
    with open_archive(path) as handle:
        return md5_of(handle), handle.tell()
