"""The estimate of a study as text."""

from collections.abc import Sequence

from engram_audio.cost.totals import (
    HOUR,
    Costed,
    RuleCost,
    beyond_limits,
    by_rule,
    longest_chain,
)
from engram_audio.cost.units import Units
from engram_audio.verdicts import number

MOST_LINES = 20


def page(jobs: Sequence[Costed], units: Units) -> str:
    """Return the table by rule, the totals, the longest chain and the jobs beyond their limits."""
    rows = by_rule(jobs)
    blocks = [_table(rows), _totals(rows), _chain(longest_chain(jobs)), _beyond(jobs)]
    return "\n\n".join("\n".join(block) for block in [*blocks, _origin(rows, units)])


def _table(rows: Sequence[RuleCost]) -> list[str]:
    titles = {"jobs": 6, "CPU h": 9, "GPU h": 9, "longest": 12, "GB RAM": 8, "GB disk": 9}
    head = "".join(f"{title:>{width}}" for title, width in titles.items())
    return [f"  {'rule':34}{head}", *(_line(row) for row in rows)]


def _line(row: RuleCost) -> str:
    gpu = f"{row.gpu_h:.2f}" if row.gpu_h else ""
    mark = "" if row.is_measured else " *"
    return (
        f"  {row.rule + mark:34}{row.num_jobs:>6}{row.cpu_h:>9.2f}{gpu:>9}"
        f"{number.duration(row.longest_s):>12}{row.peak_mib / 953.7:>8.1f}{row.disk_gb:>9.2f}"
    )


def _totals(rows: Sequence[RuleCost]) -> list[str]:
    cpu = sum(row.cpu_h for row in rows if not row.gpu_h)
    with_gpu = sum(row.cpu_h for row in rows if row.gpu_h)
    gpu = sum(row.gpu_h for row in rows)
    return [
        f"{sum(row.num_jobs for row in rows)} jobs: {cpu:.2f} CPU-hours, and {gpu:.2f} GPU-hours"
        f" (without a GPU {with_gpu:.2f} CPU-hours more).",
        f"Disk: {sum(row.disk_gb for row in rows):.1f} GB. Largest memory of a job:"
        f" {max((row.peak_mib for row in rows), default=0.0) / 953.7:.1f} GB.",
    ]


def _chain(chain: Sequence[Costed]) -> list[str]:
    total = sum(one.cost.wall_s for one in chain)
    dear = [one for one in chain if one.cost.wall_s >= 0.01 * total]
    lines = [f"  {number.duration(one.cost.wall_s):>9}  {one.job}" for one in dear]
    return [f"Critical path: {total / HOUR:.2f} h in {len(chain)} jobs, of which:", *lines]


def _beyond(jobs: Sequence[Costed]) -> list[str]:
    lines = beyond_limits(jobs)
    if not lines:
        return ["No job is estimated beyond its own time or memory."]
    more = [f"  and {len(lines) - MOST_LINES} more"] if len(lines) > MOST_LINES else []
    head = f"{len(lines)} estimates lie beyond what the job asks for:"
    return [head, *(f"  {line}" for line in lines[:MOST_LINES]), *more]


def _origin(rows: Sequence[RuleCost], units: Units) -> list[str]:
    what = units.measured
    lines = [
        f"Units measured {what['date']} on {what['machine']} (bench/unit_costs.json);"
        f" GPU: {units.gpu['name']}, {units.gpu['flops_per_s']:.0e} operations a second, and as"
        f" {units.gpu['cores']:g} cores for other work on arrays."
    ]
    lines += [
        f"Error on {name}: estimated {error['estimated_cpu_s']} of {error['measured_cpu_s']}"
        f" CPU-s in {error['jobs']:.0f} jobs, ratio {error['ratio']}."
        for name, error in units.errors.items()
    ]
    guessed = [row.rule for row in rows if not row.is_measured]
    if guessed:
        lines.append(f"* not measured, taken from a like rule: {', '.join(guessed)}.")
    return lines
