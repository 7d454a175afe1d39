"""Members of a job, each a job of its own: none is done again while what decides it is the same.

A finished member lies in a folder of its own under `.partial/` beside the record, named by a digest
of all that decides it, until all are there. Then they move to where their rules put them, and the
record says of what each was made. Outputs are flagged `update`, so Snakemake leaves them where they
are when the job runs again, and what the record still says is left there.
"""

import contextlib
import logging
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.artifacts.manifests import read_manifest
from engram_audio.errors import InputError
from engram_audio.frozen import read_frozen
from engram_audio.provenance import canonical_json, text_digest
from engram_audio.section import Section
from engram_audio.steps._members import FOLDER
from engram_audio.steps._shared import content_digest

LOG = logging.getLogger(__name__)
RECORD_VERSION = 2
WHOLE = "whole.json"  # written last: names every file of a finished member


class MemberFiles(Section):
    """What the plan says of a member.

    Attributes:
        settings: Its frozen file.
        inputs: Its other inputs by name.
        outputs: Its outputs by name.
    """

    settings: str
    inputs: dict[str, list[str]]
    outputs: dict[str, str]


class MadeFile(NamedTuple):
    """What a record says of an output: its content, and since when it is there.

    The file's own time says less: outputs that stay as they are get a new one when their job ends.
    The record gets one too, after them. So a file that is newer than its record was written since.
    """

    sha256: str
    since_ns: int
    recorded_ns: int


class Member:
    """One member: its files and its job."""

    def __init__(self, files: MemberFiles) -> None:
        """Read its frozen file.

        Raises:
            InputError: That is not what its name says.
        """
        self._settings = files.settings
        self.job = read_frozen(Path(files.settings))
        self._inputs = {name: list(map(Path, paths)) for name, paths in files.inputs.items()}
        self._outputs = {name: Path(path) for name, path in files.outputs.items()}
        if len({path.name for path in self.outputs}) < len(self.outputs):  # they share a folder
            raise ValueError(f"{self.job.name}: two outputs have one name")

    @property
    def inputs(self) -> list[Path]:
        """All inputs, its frozen file first."""
        return [Path(self._settings), *(path for paths in self._inputs.values() for path in paths)]

    @property
    def outputs(self) -> list[Path]:
        """Where its outputs belong."""
        return list(self._outputs.values())

    @property
    def subject(self) -> str:
        """Its name among the members: its wildcards."""
        return self.job.name.partition("/")[2].rpartition(".")[0]

    @property
    def digest(self) -> str:
        """Digest of all that decides it: its job, and the content of every input."""
        inputs = {
            name: [content_digest(path) for path in paths] for name, paths in self._inputs.items()
        }
        return text_digest(canonical_json([self.job.name, inputs]))

    def arguments(self, folder: Path) -> list[str]:
        """Return the words of its step's command, with outputs in a folder.

        Args:
            folder: Holds each output under its own name.
        """
        words = ["--settings", self._settings]
        for name, paths in self._inputs.items():
            words += [_flag(name), *map(str, paths)] if paths else []
        for name, path in self._outputs.items():
            words += [_flag(name), str(folder / path.name)]
        return words


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


class BatchStore:
    """The finished members of one job."""

    def __init__(self, record: Path) -> None:
        """Name the job's record; where it is there, it is that of an earlier run."""
        self._folder = record.parent / FOLDER / record.stem
        self._before = _members_in(record)
        self._made_before = _files_in(record.parent)

    def made(self, member: Member, make: Callable[[list[str]], None]) -> None:
        """Make a member unless it is there from this run, a killed one, or an earlier one.

        Args:
            member: Which one.
            make: Takes the words of its step's command.
        """
        if self._is_in_place(member):
            LOG.info("it is as an earlier run made it")
            return
        folder = self._place(member)
        if _is_whole(folder, member):
            LOG.info("it was made before")
            return
        make(member.arguments(folder))
        files = [path.name for path in member.outputs]
        made = {name: file_digest(folder / name) for name in files}
        write_json(folder / WHOLE, {"files": made})

    def settled(self, members: Iterable[Member]) -> dict[str, Any]:
        """Move all members to where they belong; return what the record says of them.

        What stays in its place gets a new time, because Snakemake compares it with the job's
        inputs, and some other member's are new.
        """
        record = {}
        for member in members:
            if not self._is_in_place(member):
                self._move(member)
            files = {str(path): [file_digest(path), self._since(path)] for path in member.outputs}
            record[member.subject] = {"digest": member.digest, "files": files}
            for path in member.outputs:
                os.utime(path)
        return record

    def _move(self, member: Member) -> None:
        for path in member.outputs:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(self._place(member) / path.name, path)

    def clear(self) -> None:
        """Remove what is left of members: the record is there."""
        shutil.rmtree(self._folder, ignore_errors=True)
        with contextlib.suppress(OSError):  # another job's members are there
            self._folder.parent.rmdir()

    def _place(self, member: Member) -> Path:
        return self._folder / member.digest

    def _is_in_place(self, member: Member) -> bool:
        """Whether a member's outputs are those that the record names, made of the same."""
        entry = self._before.get(member.subject)
        if entry is None:
            return self._is_made_alone(member)
        return entry["digest"] == member.digest and all(
            path.is_file() and self._is_as_recorded(path) for path in member.outputs
        )

    def _is_made_alone(self, member: Member) -> bool:
        """Whether a job of its own made a member, which no record knows: Snakemake's own rule.

        No input is newer, its frozen file neither, and no manifest names another job.
        """
        if not all(path.is_file() for path in member.outputs):
            return False
        makers = [(read_manifest(path) or {}).get("settings") for path in member.outputs]
        if any(isinstance(maker, str) and maker != member.job.name for maker in makers):
            return False
        newest = max(self._since(path) for path in member.inputs)
        return newest <= min(path.stat().st_mtime_ns for path in member.outputs)

    def _is_as_recorded(self, path: Path) -> bool:
        made = self._made_before.get(str(path))
        return made is not None and file_digest(path) == made.sha256

    def _since(self, path: Path) -> int:
        """Return since when a file has its content: what a record says, or its own time."""
        own = path.stat().st_mtime_ns
        made = self._made_before.get(str(path))
        if made is None or own > made.recorded_ns or file_digest(path) != made.sha256:
            return own
        return made.since_ns


def _files_in(folder: Path) -> dict[str, MadeFile]:
    """Return what all records of a folder say of files; the newest record counts."""
    records = sorted((path.stat().st_mtime_ns, path) for path in folder.glob("*.json"))
    return {
        name: MadeFile(sha256, since_ns, recorded_ns)
        for recorded_ns, record in records
        for entry in _members_in(record).values()
        for name, (sha256, since_ns) in entry["files"].items()
    }


def _members_in(record: Path) -> dict[str, Any]:
    if not record.is_file():
        return {}
    try:
        return read_json(record, RECORD_VERSION)["members"]
    except InputError as error:
        LOG.warning("%s; what it names is judged by the times of its files", error)
        return {}


def _is_whole(folder: Path, member: Member) -> bool:
    """Whether a folder holds a finished member; with a missing or damaged file it does not."""
    if not (folder / WHOLE).is_file():
        return False
    try:
        files: dict[str, str] = read_json(folder / WHOLE)["files"]
    except InputError as error:
        LOG.warning("%s; making it anew", error)
        return False
    names = {path.name for path in member.outputs}
    return set(files) == names and all(
        (folder / name).is_file() and file_digest(folder / name) == files[name] for name in names
    )
