"""Slow tests in parts: every file has one, every part is a marker, and their times add up."""

import tomllib
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.slow_parts import PARTS, REST, part_of

TESTS = sorted((ROOT / "tests").glob("*/test_*.py"))


@pytest.mark.parametrize(
    ("file", "part"),
    [
        ("statistical/test_calibration_worlds.py", "gate"),
        ("statistical/test_memory_tuned.py", "models"),
        ("statistical/test_learned_key_memory.py", "keys"),
        ("statistical/test_generation_acceptance.py", "generation"),
        ("workflow/test_own_data.py", REST),
    ],
)
def test_a_file_has_the_part_of_its_stage(file: str, part: str):
    assert part_of(ROOT / "tests" / file) == part
    assert (ROOT / "tests" / file).is_file()


def test_each_part_is_a_marker_and_all_take_three_hours_of_two_cores():
    settings = tomllib.loads(Path(ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    markers = [line.split(":")[0] for line in settings["tool"]["pytest"]["ini_options"]["markers"]]
    assert set(PARTS) <= set(markers)
    assert sum(part.cpu_minutes for part in PARTS.values()) <= 2 * 180
    assert {part_of(path) for path in TESTS} >= {"gate", "models", "keys", "generation", REST}


def test_a_slow_test_is_chosen_by_its_part(request: pytest.FixtureRequest):
    """This test is not slow and has no part."""
    assert not any(request.node.get_closest_marker(name) for name in PARTS)
