"""Sums over a study: by rule, the longest chain of jobs, and jobs beyond their own limits."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engram_audio.cost.jobs import Job
from engram_audio.cost.study import Study
from engram_audio.cost.units import MIB, Estimate, Units

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


def by_rule(jobs: Iterable[Costed]) -> list[RuleCost]:
    """Return one row for each rule, the dearest first."""
    groups: dict[str, list[Estimate]] = defaultdict(list)
    for one in jobs:
        groups[one.job.rule].append(one.cost)
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
    minutes, mib = cost.wall_s / 60, cost.peak_mib * MIB / 1e6
    found = []
    if minutes > asked.get("runtime", float("inf")):
        found.append(f"about {minutes / 60:.1f} h, and it asks for {asked['runtime'] / 60:.1f} h")
    if mib > asked.get("mem_mb", float("inf")):
        found.append(f"about {mib / 1000:.1f} GB, and it asks for {asked['mem_mb'] / 1000:.1f} GB")
    return found
