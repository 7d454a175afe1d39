"""Finished parts of an artifact in the making: an interrupted job goes on where it stopped.

Parts lie outside the declared outputs and are removed when the artifact is whole. A part counts
only if it is what was written and carries the key of the present job; anything else is made again.
"""

import contextlib
import shutil
from pathlib import Path

import numpy as np

from engram_audio.artifacts.tensors import read_tensors, write_tensors
from engram_audio.errors import InputError


class PartialStore:
    """Numbered parts, each a dict of arrays."""

    def __init__(self, folder: Path, key: str) -> None:
        """Name the folder and the key; everything that decides the parts must be in the key."""
        self._folder = Path(folder)
        self._key = key

    def _path(self, number: int) -> Path:
        return self._folder / f"part-{number:06d}.safetensors"

    def get(self, number: int, names: tuple[str, ...]) -> dict[str, np.ndarray] | None:
        """Return a finished part, or None if it must be made."""
        with contextlib.suppress(InputError):
            tensors, header = read_tensors(self._path(number), names)
            if header.get("key") == self._key:
                return tensors
        return None

    def put(self, number: int, tensors: dict[str, np.ndarray]) -> None:
        """Keep a finished part."""
        write_tensors(self._path(number), tensors, {"key": self._key})

    def clear(self) -> None:
        """Remove all parts, and the folders that they leave empty."""
        shutil.rmtree(self._folder, ignore_errors=True)
        for parent in self._folder.parents[:2]:
            with contextlib.suppress(OSError):
                parent.rmdir()
