"""Benchmarks gathered by rule."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import pandas as pd


class JobTiming(NamedTuple):
    """One job's benchmark: path, wall seconds, peak resident MiB."""

    path: str
    seconds: float
    peak_mib: float


COLUMNS = ("rule", "num_jobs", "total_s", "longest_s", "peak_mib")


def gather_timings(patterns: Mapping[str, str], jobs: Sequence[JobTiming]) -> pd.DataFrame:
    """Return one row per rule that has files, sorted by total time.

    Args:
        patterns: Regular expression of each rule's benchmark paths, one group for each wildcard.
        jobs: Benchmarks found. One that fits no rule is of an older workflow and is counted under
            `(no rule of this workflow)`.
    """
    compiled = {rule: re.compile(text) for rule, text in patterns.items()}
    found: dict[str, list[JobTiming]] = {}
    for job in jobs:
        found.setdefault(_rule_of(job.path, compiled), []).append(job)
    rows = [_row(rule, rows) for rule, rows in found.items()]
    frame = pd.DataFrame(rows, columns=list(COLUMNS))
    return frame.sort_values(["total_s", "rule"], ascending=[False, True], ignore_index=True)


def _rule_of(path: str, compiled: Mapping[str, re.Pattern[str]]) -> str:
    """Return the rule whose pattern fits; the one with the fewest wildcards where several do."""
    fitting = [rule for rule, pattern in compiled.items() if pattern.fullmatch(path)]
    wildcards = {rule: compiled[rule].groups for rule in fitting}
    return min(sorted(fitting), key=wildcards.__getitem__, default="(no rule of this workflow)")


def _row(rule: str, jobs: Iterable[JobTiming]) -> tuple[object, ...]:
    jobs = list(jobs)
    seconds = [job.seconds for job in jobs]
    peak = pd.Series([job.peak_mib for job in jobs]).max()
    return rule, len(jobs), sum(seconds), max(seconds), peak
