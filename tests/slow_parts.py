"""The slow tests in parts that run alone: `make test-slow PART=gate`.

A part is a marker that every slow test of its files gets (`tests/conftest.py`). The CPU-minutes
stand beside it: all parts together have 360, which are 180 minutes of two cores.
"""

from fnmatch import fnmatch
from pathlib import Path
from typing import NamedTuple


class Part(NamedTuple):
    """Files below `tests/` by pattern, and how long their slow tests may take."""

    cpu_minutes: int
    files: tuple[str, ...]


REST = "rest"
PARTS = {
    "gate": Part(40, (
        "statistical/test_added_*", "statistical/test_calibration_*", "statistical/test_decision_*",
        "statistical/test_high_*", "statistical/test_near_*", "statistical/test_structure_*",
        "statistical/test_world_*", "unit/test_calibration_*", "workflow/test_calibration_*",
    )),
    "keys": Part(30, ("*/test_learned_key*", "*/test_key_*", "*/test_law_*")),
    "second": Part(60, (
        "*/test_generation_probes*", "*/test_generation_second*", "*/test_factorized_*",
    )),
    "generation": Part(120, ("*/test_generation_*", "*/test_generator_*")),
    "models": Part(60, (
        "*/test_prediction_*", "*/test_memory_*", "*/test_factorizer_*", "*/test_rollout_*",
        "*/test_marginal_*", "*/test_matching*", "*/test_tuning*",
    )),
    REST: Part(50, ("*",)),
}  # fmt: skip


def part_of(path: Path) -> str:
    """Return the part of a test file; the first whose pattern fits."""
    name = "/".join(path.parts[-2:])
    return next(n for n, part in PARTS.items() if any(fnmatch(name, one) for one in part.files))
