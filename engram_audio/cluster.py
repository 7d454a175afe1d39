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
from typing import Any

from engram_audio.errors import InputError
from engram_audio.stray_processes import Stray, stray_processes

LOG = logging.getLogger(__name__)
SLURM_CONF_PATHS = (
    "/etc/slurm/slurm.conf",
    "/run/slurm/conf/slurm.conf",
    "/etc/slurm-llnl/slurm.conf",
)
SQUEUE_TIMEOUT_S = 30.0
SQUEUE_ATTEMPTS = 3
SQUEUE_PAUSE_S = 5.0  # after the first attempt, twice that after the second
RECOVER_TIMEOUT_S = 180.0
TERMINATE_S = 10.0  # a training step needs some seconds to save a checkpoint
# The plugin submits one or two jobs of a rule in whatever parts they are offered.
LOSSLESS_JOBS = 2


class SilentSlurmError(InputError):
    """SLURM is installed here but does not answer."""


def slurm_jobs(folder: Path, attempts: int = 1) -> list[Stray]:
    """Return the queued and running SLURM jobs that a workflow submitted from a folder.

    Args:
        folder: Where the workflow ran.
        attempts: How often to ask a controller that does not answer.

    Raises:
        SilentSlurmError: It never did.
    """
    if shutil.which("squeue") is None or not _is_configured():
        return []
    found = []
    for line in _asked(attempts).splitlines():
        number, comment, workdir = (*line.split("|", 2), "", "")[:3]  # a folder may hold a bar
        if comment.startswith(("rule_", "group_")) and _is_same(Path(workdir), folder):
            found.append(Stray(number, comment.removeprefix("rule_"), is_slurm=True))
    return found


def _asked(attempts: int) -> str:
    """Return what squeue prints; a controller that restarts answers after some seconds."""
    command = ["squeue", "--noheader", "--array", "--format", "%i|%k|%Z"]
    for attempt in range(1, attempts + 1):
        try:
            return subprocess.run(
                command, capture_output=True, text=True, errors="replace", check=True,
                timeout=SQUEUE_TIMEOUT_S,
            ).stdout  # fmt: skip
        except (subprocess.SubprocessError, OSError) as error:
            if attempt == attempts:
                raise SilentSlurmError(
                    "squeue: does not answer, so jobs of an earlier run cannot be ruled out "
                    f"({_reason(error)}); try again when SLURM is up"
                ) from error
        time.sleep(attempt * SQUEUE_PAUSE_S)
    raise AssertionError("at least one attempt")


def _reason(error: Exception) -> str:
    said = " ".join((getattr(error, "stderr", None) or "").split())
    return f"{error}: {said[:200]}" if said else str(error)


def _is_configured() -> bool:
    """Whether a controller is named at all: client tools alone do not make a cluster."""
    paths = [os.environ.get("SLURM_CONF", ""), *SLURM_CONF_PATHS]
    return any(path and Path(path).is_file() for path in paths)


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def strays(folder: Path, attempts: int = 1) -> list[Stray]:
    """Return all jobs of a folder that no driver waits for, SLURM's first.

    At the start of a run it has submitted nothing yet, so every job that SLURM knows of this folder
    belongs to another driver.

    Raises:
        SilentSlurmError: SLURM does not answer.
    """
    return [*slurm_jobs(folder, attempts), *stray_processes(folder)]


def refuse_strays(folder: Path, is_on_slurm: bool = True) -> bool:
    """Refuse to start beside jobs of an earlier run.

    Args:
        folder: Where the run starts.
        is_on_slurm: Whether it submits to SLURM. If not, a SLURM that does not answer is a warning.

    Returns:
        Whether none is there for certain: SLURM has answered, or is not installed.

    Raises:
        InputError: There are some, or the run needs SLURM and it does not answer.
    """
    is_certain = True
    try:
        found = strays(folder, SQUEUE_ATTEMPTS if is_on_slurm else 1)
    except SilentSlurmError as error:
        if is_on_slurm:
            raise
        LOG.warning("%s; this run goes on, as it does not use SLURM", error)
        found, is_certain = stray_processes(folder), False
    if found:
        names = ", ".join(map(str, found[:5])) + (", ..." if len(found) > 5 else "")
        raise InputError(
            f"{folder}: {len(found)} job(s) of another run still work in this folder: {names}; "
            "wait for them, or end them with `make recover` there if their Snakemake is gone"
        )
    return is_certain


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


def is_on_slurm(workflow: Any) -> bool:
    """Whether Snakemake's workflow submits its jobs to SLURM."""
    plugin = workflow.executor_plugin
    return plugin is not None and plugin.name == "slurm"


def array_rules(workflow: Any) -> set[str]:
    """Return the rules that this driver submits as arrays; `all` stands for every rule.

    Empty where the executor is another one, such as that of a Snakemake inside a job.
    """
    if not is_on_slurm(workflow):
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

    A SLURM that does not answer is a warning: the next run that uses it asks again.

    Raises:
        InputError: Some do not end, or may not be ended by this user.
    """
    ended = found = _known_strays(folder)
    _cancel([stray.number for stray in found if stray.is_slurm])
    start = time.monotonic()
    while found:
        patience = time.monotonic() - start
        kind = signal.SIGTERM if patience < TERMINATE_S else signal.SIGKILL
        for stray in stray_processes(folder):  # looked up anew: a number is never taken on trust
            _end(stray, kind)
        if patience > RECOVER_TIMEOUT_S:
            raise InputError(
                f"{', '.join(map(str, found))}: do(es) not end; look with squeue or ps"
            )
        time.sleep(1.0)
        found = _known_strays(folder)
    return ended


def _known_strays(folder: Path) -> list[Stray]:
    try:
        return strays(folder, SQUEUE_ATTEMPTS)
    except SilentSlurmError as error:
        LOG.warning("%s; only processes of this machine are ended", error)
        return stray_processes(folder)


def _cancel(numbers: list[str]) -> None:
    """Cancel SLURM jobs; one that has ended meanwhile is no error."""
    if not numbers:
        return
    try:
        subprocess.run(["scancel", *numbers], check=False, timeout=SQUEUE_TIMEOUT_S)
    except (subprocess.SubprocessError, OSError) as error:
        raise InputError(
            f"scancel: does not answer ({error}); try again when SLURM is up"
        ) from error


def _end(stray: Stray, kind: signal.Signals) -> None:
    """Send a signal to a process; it may have ended since it was looked up."""
    try:
        os.kill(int(stray.number), kind)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise InputError(f"{stray}: belongs to another user; ask that user to end it") from error


def main() -> None:
    """End what an earlier run left in the present folder."""
    try:
        ended = recover(Path.cwd())
    except InputError as error:
        sys.exit(f"error: {error}")
    print("\n".join(f"ended {stray}" for stray in ended) or "no job of an earlier run was found")


if __name__ == "__main__":
    main()
