"""What a driver checks before its first job: jobs of an earlier run, and settings that hang.

A killed driver leaves its jobs running, on a cluster and locally. They would go on to write outputs
beside the jobs of the next run. `python -m engram_audio.cluster` ends those of the present folder.

The SLURM plugin (2.8.0, its issue 473) loses jobs of an array rule that Snakemake does not offer
all at once. It never submits them, and the driver waits for ever. So arrays need room for all ready
jobs.
"""

import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

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
# The plugin submits one or two jobs of a rule in whatever parts they are offered.
LOSSLESS_JOBS = 2


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


def refuse_lossy_arrays(workflow: Any) -> None:
    """Refuse SLURM arrays under settings that can hold back some of the ready jobs.

    Args:
        workflow: Snakemake's, in `onstart`: the plan and the executor's settings are known then.

    Raises:
        InputError: Jobs would be lost, and the driver would wait for ever.
    """
    rules = array_rules(workflow)
    if not rules:
        return
    jobs = sorted(workflow.dag.needrun_jobs(), key=lambda job: job.jobid)
    members = [job for job in jobs if _is_member(job, rules)]
    if max(Counter(job.rule.name for job in members).values(), default=0) <= LOSSLESS_JOBS:
        return
    problems = list(_holding_back(workflow, jobs))
    if problems:
        raise InputError(
            f"slurm-array-jobs with {', with '.join(problems)}: otherwise the SLURM plugin loses "
            "jobs of an array and waits for ever; or leave slurm-array-jobs out (docs/cluster.md)"
        )


def array_rules(workflow: Any) -> set[str]:
    """Return the rules that this driver submits as arrays; `all` stands for every rule.

    Empty where the executor is another one, such as that of a Snakemake inside a job.
    """
    plugin = workflow.executor_plugin
    if plugin is None or plugin.name != "slurm":
        return set()
    setting = workflow.executor_settings.array_jobs or ""
    return {name.strip() for name in setting.replace(";", ",").split(",") if name.strip()}


def _is_member(job: Any, rules: set[str]) -> bool:
    """Whether the plugin would put a job into an array: it submits groups as they are."""
    return not job.is_local and not job.group and bool({job.rule.name, "all"} & rules)


def _holding_back(workflow: Any, jobs: list[Any]) -> Iterator[str]:
    """Say which settings can keep a ready job from being offered, and what each would have to be.

    A rate is always set: Snakemake's own is 100 jobs a second.
    """
    rate = workflow.scheduling_settings.max_jobs_per_timespan
    if rate is not None and rate.max_jobs < (starts := _most_starts(jobs, rate.timespan)):
        span = f"{rate.timespan:g}s"
        yield f"max-jobs-per-timespan {rate.max_jobs}/{span} (allow at least {starts}/{span})"
    width = most_at_once(jobs, workflow.dag.dependencies)
    limits = {"jobs": workflow.nodes, "scheduler-subsample": workflow.scheduling_settings.subsample}
    for name, limit in limits.items():
        if limit and limit < width:
            yield f"{name} {limit} (allow at least {width}, as many may be ready at a time)"
    for name, limit in workflow.scheduler.global_resources.items():
        needs = sum(_need(job, name) for job in jobs)
        if not name.startswith("_") and needs > limit:
            yield f"resources {name}={limit} (allow at least {needs}, as all jobs need)"


def _most_starts(jobs: list[Any], timespan_s: float) -> int:
    """Bound the number of jobs that start within a time: none is tried twice within a second."""
    return sum(1 + (job.restart_times if timespan_s > 1 else 0) for job in jobs)


def _need(job: Any, resource: str) -> int:
    need = job.scheduler_resources.get(resource, 0)
    return need if isinstance(need, int) else 0  # Snakemake itself refuses a text here


def most_at_once(jobs: list[Any], dependencies: Mapping[Any, Iterable[Any]]) -> int:
    """Bound from above the number of jobs that can be ready or running at one time.

    Jobs of one chain of dependencies never are, so any cover by chains bounds it. This cover is
    greedy: a job goes on with the chain of a dependency that no other job has gone on with.
    """
    free, chains = set(jobs), 0
    for job in jobs:
        before = next((other for other in dependencies[job] if other in free), None)
        free.discard(before)
        chains += before is None
    return chains


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
