"""Known answers of generators on worlds: what passes, what fails, what is not claimed."""

import pytest

from engram_audio.generation.tables import (
    Evaluated,
    gains_table,
    generation_table,
    health_table,
    replay_table,
)
from engram_audio.generation.verdicts import verdict_rows
from engram_audio.trust.generated import KNOWN, generated_rows, generated_verdicts
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
    assert len(bounds) == len(KNOWN["table"].bounds) and all(bounds) and words == [True]


@pytest.mark.parametrize("swap", SWAPPED)
def test_wrong_codes_that_cost_nothing_fail(swap: str):
    """A memory whose keys do not matter at evaluation reads something else."""
    bounds, _ = known(evaluated({**TABLE, **SWAPPED, swap: 4.0}, name="world_table"))
    assert bounds.count(False) == 1


def test_a_lookup_that_gains_too_little_fails_in_bounds_and_word():
    bounds, words = known(evaluated({**TABLE, "SM": 6.6}, name="world_table"))
    assert not all(bounds) and words == [False]


def test_a_world_without_memory_must_show_no_benefit():
    nothing: dict[str, float] = {"S": 22.7, "SM": 22.7, "F": 22.7, "SMx": 22.7}
    assert known(evaluated(nothing, name="world_var1")) == ([True, True], [True])
    assert known(evaluated({**nothing, "SM": 22.5}, name="world_var1"))[1] == [False]


def test_two_seeds_claim_no_word_and_other_representations_nothing():
    bounds, words = known(evaluated(TABLE, num_seeds=2, name="world_table"))
    assert all(bounds) and words == [None]
    assert known(evaluated(TABLE, name="mel_pca")) == ([], [])
