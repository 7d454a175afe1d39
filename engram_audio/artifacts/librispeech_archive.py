"""LibriSpeech archives: every member is checked before the first one is extracted."""

import contextlib
import fcntl
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, BinaryIO, NamedTuple

from engram_audio.artifacts.atomic import atomic_path, disk_faults_named
from engram_audio.artifacts.regular_file import open_regular
from engram_audio.artifacts.tar_members import HostileTarError, walk
from engram_audio.corpus.librispeech import SPEAKERS_FILE
from engram_audio.errors import InputError

TOP_FOLDER = "LibriSpeech"
BLOCK_BYTES = 1 << 20
SHOWN_CHARACTERS = 120  # of a member's name, which may have thousands
TAR_FAULTS = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError)


class Extracted(NamedTuple):
    """What came out of an archive."""

    num_files: int
    num_bytes: int


def has_subset(root: Path, subset: str) -> bool:
    """Whether the subset lies under `root`; extraction puts a whole folder there or none.

    Raises:
        InputError: Something else stands in its place.
    """
    folder = root / subset
    if not os.path.lexists(folder):
        return False
    if not _has_audio(folder):
        raise InputError(f"{folder}: there already, without audio; remove it and run again")
    return True


def _has_audio(folder: Path) -> bool:
    return folder.is_dir() and any(path.is_file() for path in folder.rglob("*.flac"))


@contextlib.contextmanager
def locked(root: Path, subset: str) -> Iterator[None]:
    """Let one process at a time put a subset under `root`.

    Raises:
        InputError: The folder cannot be made, written to, or locked.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(root / f".{subset}.lock", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
        fcntl.flock(descriptor, fcntl.LOCK_EX)
    except OSError as error:
        raise InputError(
            f"{root}: {subset} cannot be put there ({error.strerror}); mend the folder, or change "
            "`root`"
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)


def open_archive(archive: Path) -> BinaryIO:
    """Open an archive.

    Raises:
        InputError: It is no regular file, or cannot be read.
    """
    try:
        return open_regular(archive)
    except OSError as error:
        raise InputError(
            f"{archive}: cannot be read ({error.strerror}); mend that, or move it away"
        ) from error


def extract_subset(archive: Path, root: Path, subset: str) -> Extracted:
    """Extract `LibriSpeech/<subset>` to `root/<subset>`, and SPEAKERS.TXT where `root` has none.

    The archive stays, whatever happens.

    Args:
        archive: `<subset>.tar.gz`.
        root: Folder of the corpus; must not hold the subset.
        subset: Name of the subset.

    Raises:
        InputError: Not a readable archive, without the subset, or with a member that is absolute,
            climbs with `..`, is a link or a device, stands there twice, or costs far more than it
            should. Or there is no room.
    """
    temporary = _unpacking_folder(root, subset)
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with open_archive(archive) as handle:
            extracted = _unpack(archive, handle, temporary, subset)
        speakers = temporary / SPEAKERS_FILE
        if speakers.exists() and not (root / SPEAKERS_FILE).exists():
            with atomic_path(root / SPEAKERS_FILE) as target:
                shutil.copyfile(speakers, target)
        with disk_faults_named(root / subset, f"{archive} is kept"):
            os.replace(temporary / subset, root / subset)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # room for a second try
    return extracted


def _unpacking_folder(root: Path, subset: str) -> Path:
    return root / f".extracting-{subset}"


def clear_leftovers(root: Path, subset: str) -> None:
    """Remove what a run that was killed had unpacked; the lock must be held."""
    shutil.rmtree(_unpacking_folder(root, subset), ignore_errors=True)


def _unpack(archive: Path, handle: BinaryIO, temporary: Path, subset: str) -> Extracted:
    try:
        _check_members(archive, handle)
        extracted = _extract_members(archive, handle, temporary, subset)
    except TAR_FAULTS as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{archive}: does not unpack ({reason}); replace it, or delete it, and run again"
        ) from error
    if not _has_audio(temporary / subset):
        raise InputError(
            f"{archive}: holds no audio in {TOP_FOLDER}/{subset}; replace it, or delete it, and "
            "run again"
        )
    return extracted


def _check_members(archive: Path, handle: BinaryIO) -> None:
    paths = _Paths()
    name = None
    try:
        for _, member in walk(handle, _size(handle)):
            name = member.name
            problem = member_problem(member) or paths.problem(member)
            if problem is not None:
                raise HostileTarError(problem)
    except HostileTarError as error:
        place = "the first member" if name is None else f"at member {_shown(name)}: it"
        raise InputError(
            f"{archive}: {place} {error}; nothing was extracted, delete the archive and get it "
            "from a server that you trust"
        ) from error


def _size(handle: BinaryIO) -> int:
    return os.fstat(handle.fileno()).st_size


def _shown(name: str) -> str:
    return ascii(name if len(name) <= SHOWN_CHARACTERS else f"{name[:SHOWN_CHARACTERS]}..")


def member_problem(member: tarfile.TarInfo) -> str | None:
    """Return why a member must not be extracted, or None."""
    parts = member.name.split("/")
    if member.name.startswith("/") or "\\" in member.name or "\0" in member.name:
        return "has an absolute or foreign path"
    if ".." in parts:
        return "climbs out with '..'"
    if not (member.isreg() or member.isdir()):
        return "is neither a file nor a folder"
    if member.issparse():
        return "is sparse: it claims more than it holds"
    if parts[0] not in (TOP_FOLDER, "."):
        return f"lies not in {TOP_FOLDER}"
    return None


class _Paths:
    """Where the members so far lie: each path holds one file, or a folder."""

    def __init__(self) -> None:
        self._files: set[tuple[str, ...]] = set()
        self._folders: set[tuple[str, ...]] = set()

    def problem(self, member: tarfile.TarInfo) -> str | None:
        """Remember a member; return what an earlier one contradicts, or None."""
        path = _parts(member)
        folders = {path[:end] for end in range(len(path) + member.isdir())}
        if path in self._files or (member.isreg() and path in self._folders):
            return "stands there twice"
        if not self._files.isdisjoint(folders):
            return "lies in a file"
        self._folders |= folders
        if member.isreg():
            self._files.add(path)
        return None


def _parts(member: tarfile.TarInfo) -> tuple[str, ...]:
    """Folders below the top one, and the name."""
    return tuple(part for part in member.name.split("/") if part not in ("", "."))[1:]


def _extract_members(archive: Path, handle: BinaryIO, temporary: Path, subset: str) -> Extracted:
    num_files = num_bytes = 0
    for tar, member in walk(handle, _size(handle)):
        parts = _parts(member)
        wanted = parts[:1] == (subset,) or parts == (SPEAKERS_FILE,)
        content = tar.extractfile(member) if wanted and member.isreg() else None
        if content is None:
            continue
        with disk_faults_named(temporary, f"{archive} is kept"):
            _write(temporary.joinpath(*parts), _blocks(content))
        num_files += 1
        num_bytes += member.size
    return Extracted(num_files, num_bytes)


def _blocks(content: IO[bytes]) -> Iterator[bytes]:
    try:
        while block := content.read(BLOCK_BYTES):
            yield block
    except OSError as error:  # of the archive's disk, not of the one that is written to
        raise tarfile.ReadError(str(error)) from error


def _write(target: Path, blocks: Iterator[bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with open(target, "xb") as out:
        for block in blocks:
            out.write(block)
