"""Arms of a generator on planted worlds whose answers are known (the published prototype's sizes).

Three paired seeds. Bounds are those of the specification; gains are nats per frame on the same eval
frames, so that what the eval sample has in common cancels.
"""

import functools

import numpy as np
import pytest

from engram_audio.generation.model_config import ArmName
from tests.statistical.planted_generation import Arena, Scored, arena, study

pytestmark = pytest.mark.slow
ARMS: tuple[ArmName, ...] = ("S", "SM", "F", "SMx", "SM1", "SMm")
SEEDS = (0, 1, 2)


@functools.cache
def world(name: str) -> tuple[Arena, dict[ArmName, list[Scored]]]:
    own = arena(name, num_symbols=256) if name == "table" else arena(name)
    return own, study(own, ARMS, SEEDS)


def gains(name: str, other: ArmName) -> np.ndarray:
    """How much lower SM scores than another arm, one number for each seed."""
    _, found = world(name)
    return np.array([b.nll - a.nll for a, b in zip(found["SM"], found[other], strict=True)])


@pytest.mark.parametrize(("other", "least"), [("F", 2), ("SMx", 2), ("SM1", 1), ("SMm", 1)])
def test_a_table_is_what_a_memory_holds(other: ArmName, least: float):
    """SM beats equal work, foreign keys, one row and a network of the state, in every seed."""
    assert (gains("table", other) > least).all()


def test_gates_on_a_table():
    """The gate of SM opens, and training closes that of SMx."""
    _, found = world("table")
    assert min(one.gate for one in found["SM"]) > 0.95
    assert max(one.gate for one in found["SMx"]) < 0.05


def test_nothing_scores_below_the_law():
    """The exact law of the world is the floor of every arm, up to its own error."""
    for name in ("table", "var1"):
        own, found = world(name)
        floor = own.planted.mean_of(own.planted.oracle_nll(1, "position"))
        lowest = min(one.nll for scored in found.values() for one in scored)
        assert lowest > floor.value - 3 * floor.error, name


@pytest.mark.parametrize("other", ["F", "SMx", "SM1"])
def test_a_linear_world_has_nothing_to_look_up(other: ArmName):
    """SM is no better than any control on `var1`, and within .03 of each."""
    assert np.abs(gains("var1", other)).mean() < 0.03 and gains("var1", other).mean() < 0.02


def test_budgets_of_trained_arms():
    """F works at least as much as SM and hardly more; what train read of the rows is counted."""
    own, found = world("table")
    memory, matched = found["SM"][0].budget, found["F"][0].budget
    assert 1 <= matched.flops_generated / memory.flops_generated <= 1.02
    assert 0.9 * 512 * 16 <= memory.num_touched <= 513 * 16
    assert own.sizes["F"].width >= own.settings.width
