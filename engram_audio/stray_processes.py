"""Steps on this machine whose Snakemake is gone: they go on writing, and nobody waits for them."""

import contextlib
import os
import socket
from pathlib import Path
from typing import NamedTuple

STEP_PREFIX = "engram_audio.steps."
DRIVER = "ENGRAM_DRIVER"  # the variable that tells jobs who their Snakemake is
# Beside the first process: who takes in orphans of a step that does not name its Snakemake.
ADOPTERS = {"systemd", "slurmstepd", "init", "tini", "docker-init", "dumb-init", "containerd-shim"}


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


def mark_jobs() -> None:
    """Write into the environment, which all jobs inherit, who their Snakemake is."""
    with contextlib.suppress(OSError):  # no /proc, as on a Mac: orphans are not found there
        started = _started(Path("/proc/self"))
        os.environ[DRIVER] = f"{socket.gethostname()} {os.getpid()} {started}"


def stray_processes(folder: Path, proc: Path = Path("/proc")) -> list[Stray]:
    """Return the steps that run in a folder on this machine and have lost their Snakemake.

    A step that a person or a living Snakemake has started has not.
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
        driver = _driver_of(entry)
        return _is_adopted(entry) if driver is None else not _is_alive(entry.parent, *driver)
    except OSError:  # it has ended
        return False


def _driver_of(entry: Path) -> tuple[str, str] | None:
    """Return process id and start of the Snakemake on this machine that started a step, if known.

    Whatever adopts orphans here, such as SLURM inside of an allocation, cannot hide behind it.
    """
    for word in (entry / "environ").read_bytes().split(b"\0"):
        name, _, value = word.decode(errors="replace").partition("=")
        parts = value.split(" ")
        if name == DRIVER and len(parts) == 3 and parts[0] == socket.gethostname():
            return parts[1], parts[2]
    return None


def _is_alive(proc: Path, pid: str, started: str) -> bool:
    try:
        return _started(proc / pid) == started  # a number may belong to another process by now
    except OSError:
        return False


def _started(entry: Path) -> str:
    """Return when a process started, in ticks since the machine did; a dead one has no start."""
    state, *fields = (entry / "stat").read_text().rpartition(")")[2].split()
    return "" if state in "ZX" else fields[18]


def _is_adopted(entry: Path) -> bool:
    """Whether a step, or the shell around it, was handed to a process that starts no steps."""
    while any(STEP_PREFIX in word for word in _command(entry)):
        parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
        entry = entry.parent / parent
    return entry.name == "1" or (entry / "comm").read_text().strip() in ADOPTERS
