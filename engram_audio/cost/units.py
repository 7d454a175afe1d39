"""What one unit of work costs, measured by `bench/unit_costs.py`, and what a job then costs."""

import json
import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from engram_audio.cost.laws import ARRAYS, FLOP, JOB, LAWS, Law
from engram_audio.cost.study import Piece
from engram_audio.errors import InputError
from engram_audio.provenance import ROOT

TABLE = ROOT / "bench" / "unit_costs.json"
MIB = 2**20


class Estimate(NamedTuple):
    """What one job costs.

    Attributes:
        cpu_s: CPU seconds on one core of the measured machine.
        gpu_s: Seconds that it holds a GPU; 0 for a rule without one.
        peak_mib: Largest resident memory.
        disk_bytes: Bytes of its outputs.
        is_measured: Whether units of its own rule were measured.
    """

    cpu_s: float
    gpu_s: float
    peak_mib: float
    disk_bytes: float
    is_measured: bool

    @property
    def wall_s(self) -> float:
        """Seconds from start to end where the job has what it asks for."""
        return self.gpu_s or self.cpu_s


@dataclass(frozen=True)
class RuleUnits:
    """Measured units of a rule.

    Attributes:
        start_s: CPU seconds until the step begins its work.
        seconds: CPU seconds of each unit, by kind of job.
        base_mib: Memory beside what the law counts.
        base_bytes: Bytes of outputs beside what the law counts.
        num_jobs: Jobs that they were measured on.
    """

    start_s: float
    seconds: Mapping[str, Mapping[str, float]]
    base_mib: float
    base_bytes: float
    num_jobs: int


@dataclass(frozen=True)
class Units:
    """The table of unit costs.

    Attributes:
        flop_s: CPU seconds of one operation in a product of matrices.
        rules: Units of each measured rule.
        gpu: What is assumed of a GPU: `flops_per_s` of products, how many `cores` do as much work
            on arrays, `start_s`, `name`.
        measured: Date and machine, for people.
        errors: Estimated over measured CPU seconds of finished studies, by study.
    """

    flop_s: float
    rules: Mapping[str, RuleUnits]
    gpu: Mapping[str, Any]
    measured: Mapping[str, str] = field(default_factory=dict)
    errors: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def estimate(self, piece: Piece) -> Estimate:
        """Return what a job costs; one that does many starts once and holds one at a time."""
        if not piece.members:
            return self._of_one(piece)
        costs = [self._of_one(member) for member in piece.members]
        starts = sum(self._units(member).start_s for member in piece.members[1:])
        once = starts + (len(costs) - 1) * self.gpu["start_s"]
        return Estimate(
            sum(cost.cpu_s for cost in costs) - starts,
            sum(cost.gpu_s for cost in costs) - once if piece.job.resources.get("gpu") else 0.0,
            max(cost.peak_mib for cost in costs),
            sum(cost.disk_bytes for cost in costs),
            all(cost.is_measured for cost in costs),
        )

    def _units(self, piece: Piece) -> RuleUnits:
        """Return the units of a job. A rule that the table lacks takes the mean start of all."""
        law = LAWS.get(piece.job.rule, Law())
        return self.rules.get(piece.job.rule) or self.rules.get(law.like) or self._typical()

    def _of_one(self, piece: Piece) -> Estimate:
        law = LAWS.get(piece.job.rule, Law())
        units = self._units(piece)
        quantities = {name: quantity(piece) for name, quantity in law.work.items()}
        flops = quantities.pop(FLOP, 0.0)
        seconds = _of_kind(units.seconds, law.kind(piece))
        costs = {name: seconds.get(name, 0.0) * amount for name, amount in quantities.items()}
        arrays = sum(costs[name] for name in ARRAYS & costs.keys())
        plain = units.start_s + seconds.get(JOB, 0.0) + sum(costs.values()) - arrays
        return Estimate(
            plain + arrays + self.flop_s * flops,
            self._on_gpu(plain, arrays, flops) if piece.job.resources.get("gpu") else 0.0,
            units.base_mib + law.memory(piece) / MIB,
            units.base_bytes + law.disk(piece),
            piece.job.rule in self.rules,
        )

    def _on_gpu(self, plain_s: float, arrays_s: float, flops: float) -> float:
        """Return the seconds of a job with a GPU, which speeds up products and work on arrays."""
        products_s = flops / self.gpu["flops_per_s"]
        return self.gpu["start_s"] + plain_s + arrays_s / self.gpu["cores"] + products_s

    def _typical(self) -> RuleUnits:
        rows = list(self.rules.values()) or [RuleUnits(1.0, {}, 200.0, 0.0, 0)]
        mean = sum(row.start_s for row in rows) / len(rows)
        return RuleUnits(mean, {}, statistics.median(row.base_mib for row in rows), 0.0, 0)


def _of_kind(seconds: Mapping[str, Mapping[str, float]], kind: str) -> Mapping[str, float]:
    """Return the units of a kind; of the dearest kind where it was not measured."""
    if kind in seconds:
        return seconds[kind]
    names = {name for units in seconds.values() for name in units}
    return {name: max(units.get(name, 0.0) for units in seconds.values()) for name in names}


def read_units(path: Path = TABLE) -> Units:
    """Read the table.

    Raises:
        InputError: It is not there, or was written by other code.
    """
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
        rules = {name: RuleUnits(**row) for name, row in table["rules"].items()}
        return Units(
            float(table["flop_s"]), rules, table["gpu"], table["measured"], table["errors"]
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path}: is no table of unit costs ({error}); restore it, or write it anew with "
            "`python bench/unit_costs.py results/demo`"
        ) from error
