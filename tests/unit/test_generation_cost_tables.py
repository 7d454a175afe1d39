"""What is published of more sizes and of probes, and the words that follow from it."""

import math
from collections.abc import Mapping
from typing import Any

import pytest

from engram_audio.generation.cost_verdicts import COST, READS, SELECTS, SHARE, WIDER, Costs
from engram_audio.generation.names import OF_ARM
from engram_audio.generation.names import SHARE as OF_SHARE
from engram_audio.generation.names import WIDER as OF_WIDER
from engram_audio.generation.tables import gains_table, generation_table, health_table, replay_table
from engram_audio.generation.verdicts import verdict_rows
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED
from engram_audio.verdicts.row import SHOWN, VerdictRow
from engram_audio.verdicts.words import HELPS
from tests.unit.generation_cost_tables import LEVELS, PROBES, Level, cost_tables, priced, probed
from tests.unit.generation_tables import evaluated, generation_bars

NAMES = ("mel_pca", "one_frame")
ALL = {"S": 29.0, "SM": 28.0, "F": 28.6, "P": 28.5, "SMx": 28.9, "SM1": 28.9, "SMm": 28.8,
       "SMf": 28.7}  # fmt: skip


def costs(**changes: Any) -> Costs:
    tables = cost_tables(*NAMES, **changes)
    return Costs(*(tables[f"generation_{part}"] for part in Costs._fields))


def rows(own: Costs) -> dict[tuple[str, str], VerdictRow]:
    return {(row.question, row.case): row for row in own.rows(NAMES[0])}


def with_level(
    kind: str, value: float, arm: str, nll: float, held: str = ""
) -> Mapping[Any, Level]:
    own = LEVELS[kind, held, value, arm]
    return {**LEVELS, (kind, held, value, arm): (nll, *own[1:])}


def test_a_multiplier_is_told_with_its_interval():
    """SM's 28.4 lies midway between 28.6 at twice and 28.2 at four times its work."""
    table = cost_tables(*NAMES)["generation_cost"].set_index(["quality", "budget"])
    assert table.loc[("nll", "work"), "multiplier"] == pytest.approx(2 * math.sqrt(2), rel=0.03)
    assert table.loc[("energy", "work"), "multiplier"] == pytest.approx(2 * math.sqrt(2), rel=0.03)
    numbers = table.loc[("nll", "numbers"), "multiplier"]
    assert numbers == pytest.approx(1.5 * math.sqrt(2), rel=0.03)
    found = rows(costs())[COST, "nll, work"]
    assert found.measured.low < 2 * math.sqrt(2) < found.measured.high
    assert found.sentence.startswith("Without a memory the same nll takes 2.8")


@pytest.mark.parametrize(("nll", "words"), [
    (27.0, "takes more than 4.00 times the work"), (29.5, "takes at most 0.83 times the work"),
])  # fmt: skip
def test_nothing_is_told_beyond_the_ladder(nll: float, words: str):
    own = costs(of=priced(with_level(OF_ARM, 0.0, "SM", nll)))
    assert words in rows(own)[COST, "nll, work"].sentence


@pytest.mark.parametrize("nll", [27.0, 29.5])
@pytest.mark.parametrize(("sd", "num_seeds"), [(3.0, 3), (0.003, 2)])
def test_an_end_of_the_ladder_is_told_only_where_its_interval_says_so(
    nll: float, sd: float, num_seeds: int
):
    """SM scores surely better than the largest model, or worse than the least, or neither."""
    own = priced(with_level(OF_ARM, 0.0, "SM", nll), sd=sd, num_seeds=num_seeds)
    found = rows(costs(of=own))[COST, "nll, work"]
    assert found.sentence.startswith("It is not resolved how many times the work per frame of SM")
    assert "The ladder reaches from 0.83 to 4.00." in found.sentence
    assert found.outcome == UNDECIDED
    assert ("no interval" in found.sentence) == (num_seeds == 2)


def test_two_seeds_have_no_interval_and_so_no_open_end():
    found = rows(costs(of=priced(num_seeds=2)))[COST, "nll, work"]
    assert found.sentence.startswith("Without a memory the same nll takes 2.8")
    assert "bounded" not in found.sentence and "[" not in found.sentence
    assert found.sentence.endswith("With fewer than three seeds there is no interval.")


def test_a_share_sweep_says_when_it_is_not_resolved():
    sure = rows(costs())[SHARE, "num_resident held"]
    assert sure.sentence.startswith("U-SHAPED. Best on the choice part is a share of 0.20")
    assert sure.measured.low < 0.4 < sure.measured.high
    for own in (priced(sd=0.5), priced(num_seeds=2)):
        told = rows(costs(of=own))[SHARE, "num_resident held"]
        assert told.sentence.startswith("NOT RESOLVED. Best on the choice part")
    flat = priced(with_level(OF_SHARE, 0.6, "SM", 28.3005, "num_resident"), sd=0.01)
    assert rows(costs(of=flat))[SHARE, "num_resident held"].sentence.startswith("NOT RESOLVED.")


@pytest.mark.parametrize(("share", "words"), [
    (0.01, "It selects nothing."), (0.2, "It selects."), (0.05, "Not resolved."),
])  # fmt: skip
def test_a_clamp_at_the_mean_tells_whether_the_gate_selects(share: float, words: str):
    own = probed({**PROBES, ("SM", "clamp", "mean", "cost_share"): share})
    assert rows(costs(asked=own))[SELECTS, ""].sentence.startswith(words)


@pytest.mark.parametrize("share", [-4.0, -0.2, 0.01, 0.2])  # of a loss, by costs of either sign
@pytest.mark.parametrize(("gain", "sd", "words", "outcome"), [
    (-0.5, 0.001, "SM gains nothing over S", SHOWN),
    (0.02, 1.0, "It is not resolved whether SM gains over S", UNDECIDED),
])  # fmt: skip
def test_no_share_is_told_of_a_gain_that_is_not_there(
    share: float, gain: float, sd: float, words: str, outcome: str
):
    changed = {
        ("SM", "clamp", "mean", "cost_share"): share, ("SM", "clamp", "own", "gain_nats"): gain,
    }  # fmt: skip
    row = rows(costs(asked=probed({**PROBES, **changed}, sd=sd)))[SELECTS, ""]
    assert row.sentence.startswith(words) and row.outcome == outcome
    assert "selects" not in row.sentence and row.measured.value == pytest.approx(gain, abs=sd)
    without = {name: value for name, value in PROBES.items() if name[3] != "gain_nats"}
    unknown = rows(costs(asked=probed(without)))[SELECTS, ""]
    assert unknown.outcome == UNDECIDED and "selects" not in unknown.sentence


def test_a_measure_without_a_number_is_not_published_as_zero():
    own = probed({**PROBES, ("SM", "drift", "table_1", "row_rms_ratio"): math.nan})
    one = probed({("SM", "drift", "table_1", "row_rms_ratio"): math.nan})
    for table in (costs(asked=own).probes, costs(asked=one).probes):
        assert "row_rms_ratio" not in set(table["measure"])


def test_flips_are_told_by_arm():
    found = rows(costs())
    told = found[READS, "SM"].sentence
    assert "moves the next frame of SM by 19.2" in told and "key's own law by 8.0" in told
    assert "a share of 1 is not the whole" in told
    assert found[READS, "SMx"].measured.value == pytest.approx(0, abs=0.001)


def answer(own: Costs, levels: Mapping[str, float] = ALL) -> VerdictRow:
    one = evaluated(levels)
    tables = (
        generation_table([one], 0.95), gains_table([one], 0.95), health_table([one]),
        replay_table([one], 0.95),
    )  # fmt: skip
    return verdict_rows(*tables, generation_bars(0.05), one.representation, own)[0]


@pytest.mark.parametrize(("memory", "sd", "outcome"), [
    (27.8, 0.003, MET), (27.99, 0.001, NOT_MET), (27.8, 1.0, UNDECIDED),
])  # fmt: skip
def test_a_gain_must_survive_a_wider_backbone(memory: float, sd: float, outcome: str):
    """F of the wider backbone scores 28.0; the margin is .114 in the planted study, .02 here."""
    own = costs(of=priced(with_level(OF_WIDER, 2.0, "SM", memory), sd=sd))
    assert rows(own)[WIDER, "F"].outcome == outcome
    word = answer(own)
    assert (word.case == HELPS) == (outcome == MET)
    if outcome != MET:
        assert "but over F in a wider backbone" in word.reason
    without = own._replace(wider=own.wider.iloc[:0])
    assert answer(without).case == HELPS, "where none was trained nothing is asked of it"
