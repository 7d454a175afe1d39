"""Finished trainings of a job that has many: none is done again while what decides it is the same.

Each finished one is a file of its own under `.partial/` beside the output, named by a digest of all
that decides it, until the job is whole. The output keeps the digests. Its rule flags it `update`,
so Snakemake leaves it where it is when the job runs again, and its trainings are taken from there.
"""

import logging
import shutil
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engram_audio.artifacts.bundle import read_bundle, write_bundle
from engram_audio.errors import InputError

LOG = logging.getLogger(__name__)
FOLDER, KEPT = ".partial", "kept"


class Member(NamedTuple):
    """One finished training: its arrays, and what is known of it."""

    arrays: dict[str, np.ndarray]
    header: dict[str, Any]


class MemberStore:
    """The finished trainings of one job, by digest."""

    def __init__(self, output: Path) -> None:
        """Name the job's output; where it is there, it is that of an earlier run."""
        self._output, self._folder = output, output.parent / FOLDER
        self._used: dict[str, tuple[str, Member]] = {}

    def made(self, digest: str, label: str, make: Callable[[], Member]) -> Member:
        """Return a finished training, or make it and keep it.

        Args:
            digest: Of all that decides it.
            label: Its name among those of the job.
            make: Trains it.
        """
        member = self._read(digest) or self._earlier(digest)
        if member is None:
            member = make()
            header = {"digest": digest, "member": member.header}
            write_bundle(self._path(digest), member.arrays, header)
        self._used[digest] = label, member
        return member

    def packed(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return arrays and header entry of all trainings that this run asked for."""
        arrays = {
            f"{label}/{name}": values
            for label, member in self._used.values()
            for name, values in member.arrays.items()
        }
        kept = {digest: [label, member.header] for digest, (label, member) in self._used.items()}
        return arrays, {KEPT: kept}

    @cached_property
    def _before(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Arrays of the output of an earlier run, and what it kept."""
        if not self._output.is_file():
            return {}, {}
        try:
            arrays, header = read_bundle(self._output)
        except InputError as error:
            LOG.warning("%s; training all anew", error)
            return {}, {}
        return arrays, header.get(KEPT, {})

    def _earlier(self, digest: str) -> Member | None:
        arrays, kept = self._before
        if digest not in kept:
            return None
        label, header = kept[digest]
        LOG.info("%s was trained by an earlier run", label)
        own = {
            name.removeprefix(f"{label}/"): values
            for name, values in arrays.items()
            if name.startswith(f"{label}/")
        }
        return Member(own, header)

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
