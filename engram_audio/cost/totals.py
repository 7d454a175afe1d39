"""Sums over a study: by rule, the longest chain of jobs, and jobs beyond their own limits."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from engram_audio.cost.jobs import Job, from_snakemake
from engram_audio.cost.study import Study
from engram_audio.cost.units import MIB, Estimate, Units, read_units
from engram_audio.errors import InputError
from engram_audio.verdicts.number import duration

GB, HOUR = 1e9, 3600.0


class Costed(NamedTuple):
    """A job and its estimate."""

    job: Job
    cost: Estimate


class RuleCost(NamedTuple):
    """What all jobs of a rule cost.

    Attributes:
        rule: Its name.
        num_jobs: Its jobs.
        cpu_h: CPU hours of all.
        gpu_h: GPU hours of all; 0 for a rule without a GPU.
        longest_s: Wall seconds of the longest.
        peak_mib: Largest memory of one.
        disk_gb: Gigabytes of all outputs.
        is_measured: Whether its own units were measured.
    """

    rule: str
    num_jobs: int
    cpu_h: float
    gpu_h: float
    longest_s: float
    peak_mib: float
    disk_gb: float
    is_measured: bool


def costed(jobs: Sequence[Job], units: Units) -> list[Costed]:
    """Return the estimate of every job that does work; a target has no benchmark and no cost."""
    study = Study(jobs)
    return [Costed(job, units.estimate(study.piece(job))) for job in jobs if job.benchmark]


def seconds_of_jobs(workflow: Any) -> dict[int, float]:
    """Return the CPU seconds of each planned job by its number, in `onstart`.

    Empty where the table of unit costs is not there: a run needs no estimate.
    """
    try:
        units = read_units()
    except InputError:
        return {}
    jobs = from_snakemake(workflow.dag.needrun_jobs())
    study = Study(list(jobs.values()))
    return {number: units.estimate(study.piece(job)).cpu_s for number, job in jobs.items()}


def by_rule(jobs: Iterable[Costed]) -> list[RuleCost]:
    """Return one row for each rule, the dearest first."""
    groups: dict[str, list[Estimate]] = defaultdict(list)
    for one in jobs:
        groups[one.job.kind].append(one.cost)
    rows = [_row(rule, costs) for rule, costs in groups.items()]
    return sorted(rows, key=lambda row: (-row.gpu_h - row.cpu_h, row.rule))


def _row(rule: str, costs: Sequence[Estimate]) -> RuleCost:
    return RuleCost(
        rule,
        len(costs),
        sum(cost.cpu_s for cost in costs) / HOUR,
        sum(cost.gpu_s for cost in costs) / HOUR,
        max(cost.wall_s for cost in costs),
        max(cost.peak_mib for cost in costs),
        sum(cost.disk_bytes for cost in costs) / GB,
        all(cost.is_measured for cost in costs),
    )


def longest_chain(jobs: Sequence[Costed]) -> list[Costed]:
    """Return the jobs that one after the other take longest, in order: the critical path."""
    makers = {path: number for number, one in enumerate(jobs) for path in one.job.outputs}
    before = [
        sorted({makers[path] for path in one.job.inputs if path in makers} - {number})
        for number, one in enumerate(jobs)
    ]
    ends: dict[int, float] = {}
    last: dict[int, int | None] = {}
    for number in _in_order(before):
        latest = max(before[number], key=lambda other: ends[other], default=None)
        start = 0.0 if latest is None else ends[latest]
        ends[number], last[number] = start + jobs[number].cost.wall_s, latest
    chain: list[Costed] = []
    place = max(ends, key=lambda number: ends[number], default=None)
    while place is not None:
        chain.insert(0, jobs[place])
        place = last[place]
    return chain


def _in_order(before: Sequence[Sequence[int]]) -> list[int]:
    """Return numbers so that each stands after those before it."""
    waiting = [len(others) for others in before]
    after: dict[int, list[int]] = defaultdict(list)
    for number, others in enumerate(before):
        for other in others:
            after[other].append(number)
    ready = [number for number, count in enumerate(waiting) if not count]
    order = []
    while ready:
        number = ready.pop()
        order.append(number)
        for later in after[number]:
            waiting[later] -= 1
            if not waiting[later]:
                ready.append(later)
    return order


def beyond_limits(jobs: Iterable[Costed]) -> list[str]:
    """Return a line for each job whose estimate exceeds its own time or memory."""
    return [f"{one.job}: {problem}" for one in jobs for problem in _problems(one)]


def _problems(one: Costed) -> list[str]:
    asked, cost = one.job.resources, one.cost
    seconds, megabytes = 60.0 * asked.get("runtime", math.inf), cost.peak_mib * MIB / 1e6
    limit = asked.get("mem_mb", math.inf)
    found = []
    if cost.wall_s > seconds:
        found.append(f"about {duration(cost.wall_s)}, and it asks for {duration(seconds)}")
    if megabytes > limit:
        found.append(f"about {megabytes / 1000:.1f} GB, and it asks for {limit / 1000:.1f} GB")
    return found
