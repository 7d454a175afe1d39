"""Known answers of generators on worlds: what passes, what fails, what is not claimed."""

import numpy as np
import pytest

from engram_audio.generation.tables import (
    Evaluated,
    gains_table,
    generation_table,
    health_table,
    keys_table,
    replay_table,
)
from engram_audio.generation.verdicts import verdict_rows
from engram_audio.trust.generated import (
    KNOWN,
    gated_rows,
    generated_rows,
    generated_verdicts,
    healed_rows,
)
from tests.unit.generation_tables import evaluated, generation_bars

TABLE = {"S": 6.9, "SM": 4.0, "F": 6.6, "SMx": 6.9, "SM1": 6.9, "SMm": 6.0, "SMf": 6.0,
         "SMl": 4.4}  # fmt: skip
SWAPPED = {"SM:previous": 9.0, "SM:constant": 8.0, "SM:permuted": 9.5}


def known(one: Evaluated) -> tuple[list[bool], list[object]]:
    """Return which bounds and which words pass."""
    gains = gains_table([one], 0.95)
    tables = generation_table([one], 0.95), gains, health_table([one]), replay_table([one], 0.95)
    rows = verdict_rows(*tables, generation_bars(0.05), "")
    return (
        [row.passes for row in generated_rows(gains)],
        [row["passes"] for row in generated_verdicts(rows, gains)],
    )


def test_a_table_that_is_looked_up_passes():
    bounds, words = known(evaluated({**TABLE, **SWAPPED}, name="world_table"))
    assert len(bounds) == len(KNOWN["table"].bounds) and all(bounds)
    assert words == [True] * (1 + len(SWAPPED) + 1)  # wrong codes lose the word, a late key not


def test_wrong_codes_that_keep_the_word_fail():
    """A memory that helps whatever it reads holds no table."""
    _, words = known(evaluated({**TABLE, **dict.fromkeys(SWAPPED, 4.0)}, name="world_table"))
    assert words == [True, False, False, False, True]


@pytest.mark.parametrize(("late", "passes"), [(5.5, True), (5.7, False)])
def test_a_late_key_must_beat_every_control(late: float, passes: bool):
    """It loses HELPS within the margin of a network of the state: SMm has 6.0, delta is .33."""
    _, words = known(evaluated({**TABLE, **SWAPPED, "SMl": late}, name="world_table"))
    assert words[-1] is passes


@pytest.mark.parametrize("swap", SWAPPED)
def test_wrong_codes_that_cost_nothing_fail(swap: str):
    """A memory whose keys do not matter at evaluation reads something else."""
    bounds, _ = known(evaluated({**TABLE, **SWAPPED, swap: 4.0}, name="world_table"))
    assert bounds.count(False) == 1


def test_a_lookup_that_gains_too_little_fails_in_bounds_and_word():
    bounds, words = known(evaluated({**TABLE, "SM": 6.6}, name="world_table"))
    assert not all(bounds) and words[0] is False


def test_a_world_without_memory_must_show_no_benefit():
    nothing: dict[str, float] = {"S": 22.7, "SM": 22.7, "F": 22.7, "SMx": 22.7}
    assert known(evaluated(nothing, name="world_var1")) == ([True, True], [True])
    assert known(evaluated({**nothing, "SM": 22.5}, name="world_var1"))[1] == [False]


@pytest.mark.parametrize(("one_row", "passes"), [(22.7, True), (22.6, False), (22.8, False)])
def test_one_row_must_equal_no_row_on_a_linear_world(one_row: float, passes: bool):
    arms: dict[str, float] = {"S": 22.7, "SM": 22.7, "F": 22.7, "SMx": 22.7, "SM1": one_row}
    bounds, _ = known(evaluated(arms, name="world_var1"))
    assert bounds == [True, True, passes]


@pytest.mark.parametrize(("arm", "gate"), [("SM", 0.94), ("SMx", 0.06)])
def test_a_gate_that_neither_opens_nor_closes_fails(arm: str, gate: float):
    """One seed at one step is enough; free runs and other worlds are not asked."""
    one = evaluated(TABLE, name="world_table")
    one.keys["gate_q50"] = np.where(one.keys["arm"] == "SM", 0.96, 0.04)
    assert [row.passes for row in gated_rows(keys_table([one]))] == [True, True]
    one.keys.loc[(one.keys["arm"] == arm) & (one.keys["probe"] == "true"), "gate_q50"] = gate
    rows = gated_rows(keys_table([one]))
    assert [row.passes for row in rows] == [arm != "SM", arm != "SMx"]
    assert gated_rows(keys_table([one._replace(representation="world_var1")])) == []


def test_two_seeds_claim_no_word_and_other_representations_nothing():
    bounds, words = known(evaluated(TABLE, num_seeds=2, name="world_table"))
    assert all(bounds) and words == [None, None]
    assert known(evaluated(TABLE, name="mel_pca")) == ([], [])


@pytest.mark.parametrize(("distance", "passes"), [(0.004, True), (0.006, False)])
def test_noise_must_halve_the_distance_of_runs_in_chaos(distance: float, passes: bool):
    """Excess distances count, not distances; the floor of both is .02."""
    arms: dict[str, float] = {"S": -18.0, "SM": -18.0, "F": -18.0, "SMx": -18.0}
    both = [
        evaluated(arms, name="world_logistic", losses={"S": 0.01}),
        evaluated(arms, name="world_logistic", losses={"S": distance}, noise="fixed 0.01",
                  generator_name="noisy"),
    ]  # fmt: skip
    rows = healed_rows(generation_table(both, 0.95), health_table(both))
    assert [row.passes for row in rows] == [passes]
    assert rows[0].measured == pytest.approx(distance / 0.01)
    assert healed_rows(generation_table(both[:1], 0.95), health_table(both[:1])) == []


def test_one_seed_that_noise_does_not_help_is_enough_to_fail():
    arms: dict[str, float] = {"S": -18.0, "SM": -18.0, "F": -18.0, "SMx": -18.0}
    plain = evaluated(arms, name="world_logistic", losses={"S": 0.01})
    noisy = evaluated(arms, name="world_logistic", losses={"S": 0.001}, noise="fixed 0.01",
                      generator_name="noisy")  # fmt: skip
    is_one = (noisy.health["arm"] == "S") & (noisy.health["seed"] == 1)
    noisy.health.loc[is_one, "energy_distance"] = 0.5
    both = [plain, noisy]
    (row,) = healed_rows(generation_table(both, 0.95), health_table(both))
    assert not row.passes
