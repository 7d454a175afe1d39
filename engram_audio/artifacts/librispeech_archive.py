"""LibriSpeech archives: every member is checked before the first one is extracted."""

import contextlib
import fcntl
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from engram_audio.artifacts.atomic import atomic_path
from engram_audio.corpus.librispeech import SPEAKERS_FILE
from engram_audio.errors import InputError

TOP_FOLDER = "LibriSpeech"
MAXIMUM_EXPANSION = 20  # FLAC does not shrink in gzip: real archives are near 1


class Extracted(NamedTuple):
    """What came out of an archive."""

    num_files: int
    num_bytes: int


def has_subset(root: Path, subset: str) -> bool:
    """Whether the subset lies under `root`; extraction puts a whole folder there or none."""
    folder = root / subset
    return folder.is_dir() and any(folder.rglob("*.flac"))


@contextlib.contextmanager
def locked(root: Path, subset: str) -> Iterator[None]:
    """Let one process at a time put a subset under `root`."""
    root.mkdir(parents=True, exist_ok=True)
    with open(root / f".{subset}.lock", "w", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def extract_subset(archive: Path, root: Path, subset: str) -> Extracted:
    """Extract `LibriSpeech/<subset>` to `root/<subset>`, and SPEAKERS.TXT where `root` has none.

    Args:
        archive: `<subset>.tar.gz`.
        root: Folder of the corpus; must not hold the subset.
        subset: Name of the subset.

    Raises:
        InputError: Not a readable archive, without the subset, or with a member that is absolute,
            climbs with `..`, is a link or a device, or unpacks to far more than it should.
    """
    if (root / subset).exists():
        raise InputError(f"{root / subset}: there already, without audio; remove it and run again")
    try:
        with tarfile.open(archive, "r:gz") as handle:
            _check_members(archive, handle)
        temporary = root / f".extracting-{subset}"
        shutil.rmtree(temporary, ignore_errors=True)
        with tarfile.open(archive, "r:gz") as handle:
            extracted = _extract_members(handle, temporary, subset)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise InputError(f"{archive}: does not unpack ({error}); delete it, run again") from error
    if not has_subset(temporary, subset):
        shutil.rmtree(temporary, ignore_errors=True)
        raise InputError(
            f"{archive}: holds no audio in {TOP_FOLDER}/{subset}; delete it, run again"
        )
    speakers = temporary / SPEAKERS_FILE
    if speakers.exists() and not (root / SPEAKERS_FILE).exists():
        with atomic_path(root / SPEAKERS_FILE) as target:
            shutil.copyfile(speakers, target)
    os.replace(temporary / subset, root / subset)
    shutil.rmtree(temporary)
    return extracted


def _check_members(archive: Path, handle: tarfile.TarFile) -> None:
    budget = MAXIMUM_EXPANSION * archive.stat().st_size
    total = 0
    for member in handle:
        problem = member_problem(member)
        total += member.size
        if problem is None and total > budget:
            problem = f"unpacks to more than {MAXIMUM_EXPANSION} times the archive's size"
        if problem is not None:
            raise InputError(
                f"{archive}: member {member.name!r} {problem}; nothing was extracted, delete the "
                "archive and get it from a server that you trust"
            )


def member_problem(member: tarfile.TarInfo) -> str | None:
    """Return why a member must not be extracted, or None."""
    parts = member.name.split("/")
    if member.name.startswith("/") or "\\" in member.name or "\0" in member.name:
        return "has an absolute or foreign path"
    if ".." in parts:
        return "climbs out with '..'"
    if not (member.isreg() or member.isdir()):
        return "is neither a file nor a folder"
    if parts[0] not in (TOP_FOLDER, "."):
        return f"lies not in {TOP_FOLDER}"
    return None


def _extract_members(handle: tarfile.TarFile, temporary: Path, subset: str) -> Extracted:
    num_files = num_bytes = 0
    for member in handle:
        parts = [part for part in member.name.split("/") if part not in ("", ".")][1:]
        wanted = parts[:1] == [subset] or parts == [SPEAKERS_FILE]
        content = handle.extractfile(member) if wanted and member.isreg() else None
        if content is None:
            continue
        target = temporary.joinpath(*parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with open(target, "xb") as out:
            shutil.copyfileobj(content, out)
        num_files += 1
        num_bytes += member.size
    return Extracted(num_files, num_bytes)
