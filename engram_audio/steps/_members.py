"""Finished trainings of a job that has many: kept beside its output until the job is whole.

Snakemake removes the outputs of a job that failed, so a job of forty trainings would lose all of
them with the last. Each finished one is a file of its own under `.partial/`, named by a digest of
all that decides it. A training whose digest is there is not done again.
"""

import logging
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engram_audio.artifacts.bundle import read_bundle, write_bundle
from engram_audio.errors import InputError

LOG = logging.getLogger(__name__)
FOLDER = ".partial"


class Member(NamedTuple):
    """One finished training: its arrays, and what is known of it."""

    arrays: dict[str, np.ndarray]
    header: dict[str, Any]


class MemberStore:
    """The finished trainings of one job, by digest."""

    def __init__(self, output: Path) -> None:
        """Name the folder beside the job's output."""
        self._folder = output.parent / FOLDER

    def made(self, digest: str, make: Callable[[], Member]) -> Member:
        """Return a finished training, or make it and keep it."""
        found = self._read(digest)
        if found is not None:
            return found
        member = make()
        write_bundle(self._path(digest), member.arrays, {"digest": digest, "member": member.header})
        return member

    def clear(self) -> None:
        """Remove all of them: the output is there."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def _path(self, digest: str) -> Path:
        return self._folder / f"{digest}.safetensors"

    def _read(self, digest: str) -> Member | None:
        """Return a kept training; a damaged file is none."""
        path = self._path(digest)
        if not path.is_file():
            return None
        try:
            arrays, header = read_bundle(path)
        except InputError as error:
            LOG.warning("%s; training it anew", error)
            return None
        if header.get("digest") != digest:
            LOG.warning("%s: holds another training; training it anew", path)
            return None
        LOG.info("%s was trained before", path.name)
        return Member(arrays, header["member"])
