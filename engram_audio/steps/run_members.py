"""Do many jobs of one rule from one load of the latents; finished ones outlive a kill.

Fails where a member fails, after all others were tried: the first reason, and how many more.
"""

import logging
from collections.abc import Callable
from importlib import import_module
from typing import Any

from engram_audio.artifacts.json_document import write_json
from engram_audio.errors import InputError
from engram_audio.steps._batch import RECORD_VERSION, BatchStore, Member, MemberFiles
from engram_audio.steps._cli import Fact, Kind, LogFolder, Output, StepFiles, run
from engram_audio.steps._shared import shared_loads

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    members: Fact[list[MemberFiles]]
    record: Output
    tensorboard: LogFolder


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    store = BatchStore(files.record)
    failures: list[str] = []
    with shared_loads():
        members = list(map(Member, files.members))
        for place, member in enumerate(members, start=1):
            LOG.info("member %d of %d: %s", place, len(members), member.job.name)
            failures += _made(store, member, files)
    if failures:
        rest = f" ({len(failures)} of {len(members)} members failed)" if len(members) > 1 else ""
        raise InputError(f"{failures[0]}{rest}")
    record = store.settled(members)
    document = {"members": record, "manifest": files.manifest()}
    write_json(files.record, document, RECORD_VERSION)
    store.clear()


def _made(store: BatchStore, member: Member, files: Files) -> list[str]:
    """Make a member unless it is there; return why it could not be made, nothing where it could.

    The others go on, so that none of them waits for what a person must mend.
    """
    try:
        store.made(member, lambda argv: _step(member)([*argv, *_log_words(member, files)]))
    except InputError as error:
        LOG.error("%s", error)
        return [str(error)]
    except Exception as error:  # a fault of this one, shown whole in the log
        LOG.exception("%s", member.job.name)
        return [f"{member.job.name}: {type(error).__name__}: {error}"]
    return []


def _module(member: Member) -> Any:
    return import_module(member.job.document["code"]["modules"][0])


def _step(member: Member) -> Callable[[list[str]], None]:
    return _module(member).main


def _log_words(member: Member, files: Files) -> list[str]:
    """Return where a member that trains logs for TensorBoard."""
    if not _module(member).Files.of_kind(Kind.LOG_FOLDER):
        return []
    return ["--tensorboard", str(files.tensorboard / member.subject)]


if __name__ == "__main__":
    run(main)
