"""Arms of a generator on planted worlds whose answers are known (the published prototype's sizes).

Three paired seeds. Words are those of the stage's own tables, with intervals over seeds and
speakers. Bounds are those of the specification; gains are nats per frame on the same eval frames,
so that what the eval sample has in common cancels.
"""

import functools
from typing import NamedTuple

import numpy as np
import pytest

from engram_audio.generation.model_config import ArmName
from engram_audio.generation.names import LINEAR_MIXTURE, SWAPS
from engram_audio.trust.generated import KNOWN, generated_rows, sabotage_verdicts
from engram_audio.verdicts.words import HELPS, NO_BENEFIT
from tests.statistical.generated_words import Told, gain, told
from tests.statistical.planted_generation import (
    INSERTION,
    SETTINGS,
    Arena,
    Scored,
    arena,
    health,
    mean_nll,
    study,
    sums_of,
    trained,
)
from tests.statistical.planted_prediction import plant
from tests.statistical.test_learned_key_memory import learned_key

pytestmark = pytest.mark.slow
EVERY: tuple[ArmName, ...] = (
    "S", "SM", "F", "P", "SMx", "SM1", "SMm", "SMf", "SMn", "SMnx", "SMc",
)  # fmt: skip
OF_WORD: tuple[ArmName, ...] = ("SM", "F", "SMx", "SM1", "SMm", "SMf")
FEW: tuple[ArmName, ...] = ("S", "SM", "F", "SMx")
OF_WORLD: dict[str, tuple[ArmName, ...]] = {
    "table": (*EVERY, "SMl"), "var1": EVERY, "iid": FEW, "rw_shape": FEW,
}  # fmt: skip
SEEDS = (0, 1, 2)
BIGRAMS = {**INSERTION, "ngram_orders": [2], "num_hashes": 4, "table_rows": 4096, "row_width": 8}
LEARNED = {**INSERTION, "key": "learned.raw.laws_256"}
SECOND = "table_second_order"


class Run(NamedTuple):
    """A world whose arms were trained, with what the stage's tables say of it."""

    own: Arena
    arms: dict[ArmName, list[Scored]]
    told: Told


def run(own: Arena, name: str, generator: str, arms: dict[ArmName, list[Scored]]) -> Run:
    swaps = {
        swap: [sums_of(own, one.model, swap) for one in arms["SM"]]
        for swap in (SWAPS if HELPS in KNOWN[name].words else ())
    }
    return Run(own, arms, told(own, name, generator, arms, swaps))


@functools.cache
def world(name: str) -> Run:
    own = arena(name, num_symbols=256) if name == "table" else arena(name)
    return run(own, name, "one_frame", study(own, OF_WORLD[name], SEEDS))


@functools.cache
def second(generator: str) -> Run:
    """A memory on the table that one frame does not tell; S is the same beside each of them."""
    if generator == "learned_key":
        key = learned_key(plant(SECOND, num_symbols=256))
        own = arena(SECOND, LEARNED, key, num_symbols=256)
    else:
        own = arena(SECOND, BIGRAMS if generator == "bigram" else INSERTION, num_symbols=256)
    if generator == "bigram":
        return run(own, SECOND, generator, study(own, EVERY, SEEDS))
    shared: dict[ArmName, list[Scored]] = {"S": second("bigram").arms["S"]}
    return run(own, SECOND, generator, shared | study(own, OF_WORD, SEEDS))


def gains(name: str, other: ArmName) -> np.ndarray:
    """How much lower SM scores than another arm, one number for each seed."""
    arms = world(name).arms
    return np.array([b.nll - a.nll for a, b in zip(arms["SM"], arms[other], strict=True)])


def passing(found: Told) -> None:
    """Every bound and every sabotage of the calibration holds."""
    bounds = generated_rows(found.gains)
    assert bounds and not [row for row in bounds if not row.passes]
    assert not [row for row in sabotage_verdicts(found.gains) if not row["passes"]]


def test_a_table_is_what_a_memory_holds():
    """The word, the bounds, and what is left of the word with wrong and with late codes."""
    found = world("table").told
    assert found.word.word == HELPS and "Content helps." in found.word.sentences
    passing(found)
    assert len(sabotage_verdicts(found.gains)) == len(SWAPS) + 1


@pytest.mark.parametrize(("other", "least"), [("F", 2), ("SMx", 2), ("SM1", 1), ("SMm", 1)])
def test_a_table_is_held_in_every_seed(other: ArmName, least: float):
    """SM beats equal work, foreign keys, one row and a network of the state, in every seed."""
    assert (gains("table", other) > least).all()


def test_what_the_gain_on_a_table_is_made_of():
    """Learned rows, true keys and storage: each is surely worth more than the margin."""
    found = world("table").told.found
    for other in ("S", "P", "SMf", "SMn", "SMnx", LINEAR_MIXTURE):
        assert found.beats("SM", other), other


def test_free_runs_on_a_table():
    """Runs of SM look like data, and those of S do not.

    The specification has energy distances of below .01 and above .02. The stage divides by the
    root of D, which is 8 here.
    """
    health_of = world("table").told.health.set_index("arm")
    excess = health_of["energy_distance"] - health_of["energy_distance_true"]
    assert (excess.loc["SM"] < 0.01 / 8**0.5).all() and (excess.loc["S"] > 0.02 / 8**0.5).all()
    assert health_of["std_ratio"].loc["SM"].between(0.98, 1.02).all()


@pytest.mark.parametrize("swap", SWAPS)
def test_wrong_codes_at_evaluation_lose_what_the_memory_gained(swap: str):
    """SM read with late, constant or renumbered codes is worse than F in every seed."""
    own, arms, _ = world("table")
    for memory, matched in zip(arms["SM"], arms["F"], strict=True):
        assert mean_nll(sums_of(own, memory.model, swap)) > matched.nll


def test_gates_on_a_table():
    """The gate of SM opens, and training closes that of SMx."""
    arms = world("table").arms
    assert min(one.gate for one in arms["SM"]) > 0.95
    assert max(one.gate for one in arms["SMx"]) < 0.05


def test_nothing_scores_below_the_law():
    """The exact law of the world is the floor of every arm, up to its own error."""
    for name in ("table", "var1"):
        own, arms, _ = world(name)
        floor = own.planted.mean_of(own.planted.oracle_nll(1, "position"))
        lowest = min(one.nll for scored in arms.values() for one in scored)
        assert lowest > floor.value - 3 * floor.error, name


@pytest.mark.parametrize("name", ["var1", "iid", "rw_shape"])
def test_where_there_is_nothing_to_look_up_the_word_says_so(name: str):
    """No sentence says what a gain is made of; a gate with nothing to select may be told."""
    found = world(name).told
    assert found.word.word == NO_BENEFIT
    assert set(found.word.sentences) <= {"The gate selects nothing: drop it."}
    passing(found)


def test_a_linear_world_has_nothing_to_look_up():
    """SM equals every other arm on `var1`, and one row equals none."""
    found = world("var1").told.found
    for other in ("S", "F", "P", "SMx", "SM1", "SMm", "SMf", "SMn", "SMnx", "SMc"):
        assert found.equals("SM", other), other
    assert found.equals("SM1", "S")


@pytest.mark.parametrize("other", ["F", "SMx", "SM1"])
def test_a_linear_world_in_every_seed(other: ArmName):
    """SM is no better than a control on `var1`, and within .03 of each."""
    assert np.abs(gains("var1", other)).mean() < 0.03 and gains("var1", other).mean() < 0.02


@pytest.mark.parametrize("name", ["iid", "rw_shape"])
@pytest.mark.parametrize("other", ["F", "SMx"])
def test_where_no_context_tells_anything_no_memory_helps(name: str, other: ArmName):
    """Frames, or steps, are independent: gains are 0 within .05."""
    assert np.abs(gains(name, other)).max() < 0.05


@pytest.mark.parametrize("generator", ["bigram", "learned_key", "one_frame"])
def test_keys_help_on_a_table_that_one_frame_does_not_tell(generator: str):
    """The word and the bounds; what it costs is printed."""
    found = second(generator).told
    assert found.word.word == HELPS
    passing(found)


def test_two_frames_hold_the_state_of_a_second_order_table():
    """One frame's code helps less, by a nat and more in every seed, than 2-grams of them do.

    A learned key does, too. Its network has its own price: its F does more than eight times the
    work of the 2-grams' F.
    """
    one = second("one_frame").arms["SM"]
    for generator in ("bigram", "learned_key"):
        for less, more in zip(one, second(generator).arms["SM"], strict=True):
            assert less.nll - more.nll > 1


def test_what_the_gain_of_two_frames_is_made_of():
    found = second("bigram").told.found
    for other in ("S", "P", "SMn", "SMnx", LINEAR_MIXTURE):
        assert found.beats("SM", other), other


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
    own, arms, found = world("table")
    memory, matched = arms["SM"][0].budget, arms["F"][0].budget
    assert 1 <= matched.flops_generated / memory.flops_generated <= 1.02
    assert 0.9 * 512 * 16 <= memory.num_touched <= 513 * 16
    assert own.sizes["F"].width >= own.settings.width
    assert gain(found, "SM", "F")["num_seeds"] == len(SEEDS)
