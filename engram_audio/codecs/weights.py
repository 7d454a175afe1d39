"""Weight files: present, hashed, found by name, and the ones that were pinned."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from engram_audio.errors import InputError


def require_file(files: Sequence[Path], name: str, codec: str) -> Path:
    """Return the file called `name`.

    Raises:
        InputError: It was not given or does not exist.
    """
    for file in files:
        if file.name == name:
            if not file.is_file():
                raise InputError(f"{file}: no such file; put the {codec} weights there")
            return file
    raise InputError(f"{name}: this file of the {codec} codec was not given; check its section")


def file_sha256(files: Iterable[Path]) -> str:
    """Return the SHA-256 (64 hex digits) of the files' bytes, one after the other."""
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as handle:
            while chunk := handle.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def require_digest(path: Path, sha256: str) -> None:
    """Check a file against the digest that the plan gives.

    Raises:
        InputError: Missing, or not the file that was pinned.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; put the codec's weights there")
    found = file_sha256([path])
    if found != sha256:
        raise InputError(
            f"{path}: SHA-256 is {found}, but {sha256} was pinned when the study was planned; "
            "restore the file, or plan again and follow what is said there"
        )


def require_digests(files: Sequence[Path], weight_digests: Mapping[str, str]) -> None:
    """Check every file that has a pinned digest, before any is loaded.

    Args:
        files: Paths as the rule gives them.
        weight_digests: Path -> SHA-256, as `artifacts.pinned.pinned_digests` gives them.

    Raises:
        InputError: A file differs from its digest, or a digest belongs to no file.
    """
    given = {str(file): file for file in files}
    for name, sha256 in weight_digests.items():
        if name not in given:
            raise InputError(f"{name}: pinned, but not among the codec's files; plan again")
        require_digest(given[name], sha256)
