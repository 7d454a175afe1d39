"""Jobs that outlived their Snakemake: refused when a run starts, ended by `make recover`.

A killed driver leaves its jobs running, on a cluster and locally. They would go on to write outputs
beside the jobs of the next run. `python -m engram_audio.cluster` ends those of the present folder.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from engram_audio.errors import InputError

LOG = logging.getLogger(__name__)
STEP_PREFIX = "engram_audio.steps."
SLURM_CONF_PATHS = (
    "/etc/slurm/slurm.conf",
    "/run/slurm/conf/slurm.conf",
    "/etc/slurm-llnl/slurm.conf",
)
SQUEUE_TIMEOUT_S = 30.0
RECOVER_TIMEOUT_S = 180.0
TERMINATE_S = 10.0  # a training step needs some seconds to save a checkpoint


class Stray(NamedTuple):
    """A job without a driver.

    Attributes:
        number: SLURM job id, or process id.
        what: Its rule or step.
        is_slurm: Whether SLURM runs it.
    """

    number: str
    what: str
    is_slurm: bool

    def __str__(self) -> str:
        """Name it as a person would look it up."""
        return f"{'SLURM job' if self.is_slurm else 'process'} {self.number} ({self.what})"


def slurm_jobs(folder: Path) -> list[Stray]:
    """Return the queued and running SLURM jobs that a workflow submitted from a folder.

    Raises:
        InputError: SLURM is installed here but does not answer.
    """
    if shutil.which("squeue") is None or not _is_configured():
        return []
    command = ["squeue", "--noheader", "--array", "--format", "%i|%k|%Z"]
    try:
        answer = subprocess.run(
            command, capture_output=True, text=True, timeout=SQUEUE_TIMEOUT_S, check=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        raise InputError(
            "squeue: does not answer, so jobs of an earlier run cannot be ruled out "
            f"({error}); try again when SLURM is up"
        ) from error
    found = []
    for line in answer.stdout.splitlines():
        number, comment, workdir = (*line.split("|", 2), "", "")[:3]  # a folder may hold a bar
        if comment.startswith(("rule_", "group_")) and _is_same(Path(workdir), folder):
            found.append(Stray(number, comment.removeprefix("rule_"), is_slurm=True))
    return found


def _is_configured() -> bool:
    """Whether a controller is named at all: client tools alone do not make a cluster."""
    paths = [os.environ.get("SLURM_CONF", ""), *SLURM_CONF_PATHS]
    return any(path and Path(path).is_file() for path in paths)


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def stray_processes(folder: Path, proc: Path = Path("/proc")) -> list[Stray]:
    """Return the steps that run in a folder on this machine and have lost their Snakemake.

    Such a step, or the shell around it, has been handed to the first process; one that a person or
    a living Snakemake has started has not.
    """
    found = []
    for entry in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        words = _command(entry)
        step = next((word for word in words if word.startswith(STEP_PREFIX)), None)
        if step and "-m" in words and _runs_in(entry, folder) and _is_orphan(entry):
            found.append(Stray(entry.name, step.removeprefix(STEP_PREFIX), is_slurm=False))
    return found


def _command(entry: Path) -> list[str]:
    try:
        return (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:  # it has ended
        return []


def _runs_in(entry: Path, folder: Path) -> bool:
    try:
        return os.path.samefile(entry / "cwd", folder)
    except OSError:
        return False


def _is_orphan(entry: Path) -> bool:
    try:
        while any(STEP_PREFIX in word for word in _command(entry)):
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            entry = entry.parent / parent
        return entry.name == "1" or (entry / "comm").read_text().strip() == "systemd"
    except OSError:  # it has ended
        return False


def strays(folder: Path) -> list[Stray]:
    """Return all jobs of a folder that no driver waits for, SLURM's first.

    At the start of a run it has submitted nothing yet, so every job that SLURM knows of this folder
    belongs to another driver.
    """
    return [*slurm_jobs(folder), *stray_processes(folder)]


def refuse_strays(folder: Path) -> None:
    """Refuse to start beside jobs of an earlier run.

    Raises:
        InputError: There are some.
    """
    found = strays(folder)
    if found:
        names = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
        raise InputError(
            f"{folder}: {len(found)} job(s) of another run still work in this folder: {names}; "
            "wait for them, or end them with `make recover` if their Snakemake is gone"
        )


def recover(folder: Path) -> list[Stray]:
    """End all jobs of a folder that no driver waits for and wait until they are gone.

    Raises:
        InputError: Some do not end.
    """
    ended = found = strays(folder)
    if any(stray.is_slurm for stray in found):
        numbers = [stray.number for stray in found if stray.is_slurm]
        subprocess.run(["scancel", *numbers], check=False, timeout=SQUEUE_TIMEOUT_S)
    start = time.monotonic()
    while found:
        patience = time.monotonic() - start
        kind = signal.SIGTERM if patience < TERMINATE_S else signal.SIGKILL
        for stray in stray_processes(folder):  # looked up anew: a number is never taken on trust
            os.kill(int(stray.number), kind)
        if patience > RECOVER_TIMEOUT_S:
            raise InputError(
                f"{', '.join(map(str, found))}: do(es) not end; look with squeue or ps"
            )
        time.sleep(1.0)
        found = strays(folder)
    return ended


def main() -> None:
    """End what an earlier run left in the present folder."""
    try:
        ended = recover(Path.cwd())
    except InputError as error:
        sys.exit(f"error: {error}")
    print("\n".join(f"ended {stray}" for stray in ended) or "no job of an earlier run is left")


if __name__ == "__main__":
    main()
