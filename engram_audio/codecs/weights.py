"""Weight files: present, hashed, found by name."""

import hashlib
from collections.abc import Iterable, Sequence
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
