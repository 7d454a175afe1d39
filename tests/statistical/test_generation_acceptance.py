"""Arms of a generator on planted worlds whose answers are known (the published prototype's sizes).

Three paired seeds. Bounds are those of the specification; gains are nats per frame on the same eval
frames, so that what the eval sample has in common cancels.
"""

import functools

import numpy as np
import pytest

from engram_audio.generation.model_config import ArmName
from engram_audio.generation.names import SWAPS
from tests.statistical.planted_generation import (
    INSERTION,
    SETTINGS,
    Arena,
    Scored,
    arena,
    health,
    study,
    swapped_nll,
    trained,
)
from tests.statistical.planted_prediction import plant
from tests.statistical.test_learned_key_memory import learned_key

pytestmark = pytest.mark.slow
ARMS: tuple[ArmName, ...] = ("S", "SM", "F", "SMx", "SM1", "SMm", "SMl")
FEW: tuple[ArmName, ...] = ("SM", "F", "SMx")
OF_WORLD = {"table": ARMS, "var1": ARMS[:-1], "iid": FEW, "rw_shape": FEW}
SEEDS = (0, 1, 2)
BIGRAMS = {**INSERTION, "ngram_orders": [2], "num_hashes": 4, "table_rows": 4096, "row_width": 8}


@functools.cache
def world(name: str) -> tuple[Arena, dict[ArmName, list[Scored]]]:
    own = arena(name, num_symbols=256) if name == "table" else arena(name)
    return own, study(own, OF_WORLD[name], SEEDS)


def gains(name: str, other: ArmName) -> np.ndarray:
    """How much lower SM scores than another arm, one number for each seed."""
    _, found = world(name)
    return np.array([b.nll - a.nll for a, b in zip(found["SM"], found[other], strict=True)])


@pytest.mark.parametrize(("other", "least"), [("F", 2), ("SMx", 2), ("SM1", 1), ("SMm", 1)])
def test_a_table_is_what_a_memory_holds(other: ArmName, least: float):
    """SM beats equal work, foreign keys, one row and a network of the state, in every seed."""
    assert (gains("table", other) > least).all()


@pytest.mark.parametrize("other", ["F", "SMx"])
def test_a_key_that_is_late_in_training_too_keeps_its_use(other: ArmName):
    """Two steps of the table are a table as well: .43 of 14.67 nats are lost by the closed form."""
    _, found = world("table")
    late = [b.nll - a.nll for a, b in zip(found["SMl"], found[other], strict=True)]
    assert min(late) > 1


@pytest.mark.parametrize("swap", SWAPS)
def test_wrong_codes_at_evaluation_lose_what_the_memory_gained(swap: str):
    """SM read with late, constant or renumbered codes is worse than F in every seed."""
    own, found = world("table")
    for memory, matched in zip(found["SM"], found["F"], strict=True):
        assert swapped_nll(own, memory.model, swap) > matched.nll


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


@pytest.mark.parametrize("name", ["iid", "rw_shape"])
@pytest.mark.parametrize("other", ["F", "SMx"])
def test_where_no_context_tells_anything_no_memory_helps(name: str, other: ArmName):
    """Frames, or steps, are independent: gains are 0 within .05."""
    assert np.abs(gains(name, other)).max() < 0.05


def test_two_frames_hold_the_state_of_a_second_order_table():
    """2-grams of one-frame codes help, and more than these codes alone, which know half of it."""
    found: dict[str, list[Scored]] = {}
    for name, memory in (("one frame", INSERTION), ("2-grams", BIGRAMS)):
        own = arena("table_second_order", memory, num_symbols=256)
        arms = study(own, ("SM", "F"), SEEDS[:2])
        found[name] = arms["SM"]
        for one, matched in zip(arms["SM"], arms["F"], strict=True):
            print(f"{name}: SM {one.nll:.2f} at {one.budget.flops_generated} FLOPs, F "
                  f"{matched.nll:.2f} at {matched.budget.flops_generated}")  # fmt: skip
            assert matched.nll - one.nll > 1
    for one, two in zip(found["one frame"], found["2-grams"], strict=True):
        assert one.nll - two.nll > 1


def test_a_learned_key_holds_the_state_of_a_second_order_table():
    """256 codes of a network help beside a net of its own work, network counted."""
    planted = plant("table_second_order", num_symbols=256)
    memory = {**INSERTION, "key": "learned.raw.laws_256"}
    own = arena("table_second_order", memory, learned_key(planted), num_symbols=256)
    arms = study(own, ("SM", "F"), SEEDS[:2])
    for one, matched in zip(arms["SM"], arms["F"], strict=True):
        print(f"learned: SM {one.nll:.2f} at {one.budget.flops_generated} FLOPs, F "
              f"{matched.nll:.2f} at {matched.budget.flops_generated}")  # fmt: skip
        assert matched.nll - one.nll > 1


def test_noise_heals_free_runs_in_chaos():
    """`logistic`: a share of .01 halves the energy distance of late frames in every seed."""
    plain, noisy = (
        arena("logistic", model={**SETTINGS, "noise": noise})
        for noise in ({"kind": "none"}, {"kind": "fixed", "share": 0.01})
    )
    for seed in SEEDS:
        distances = []
        for own in (plain, noisy):
            one = trained(own, "S", seed)
            late = health(own, one.model)
            distances.append(late["energy_distance"] - late["energy_distance_true"])
            print(f"seed {seed}: NLL {one.nll:.2f}, {late}")
        assert distances[1] < distances[0] / 2


def test_budgets_of_trained_arms():
    """F works at least as much as SM and hardly more; what train read of the rows is counted."""
    own, found = world("table")
    memory, matched = found["SM"][0].budget, found["F"][0].budget
    assert 1 <= matched.flops_generated / memory.flops_generated <= 1.02
    assert 0.9 * 512 * 16 <= memory.num_touched <= 513 * 16
    assert own.sizes["F"].width >= own.settings.width
