"""Each stage judges its own published tables: planted answers, swapped signs, missing numbers."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.factorizer import verdicts as factorizer
from engram_audio.memory import verdicts as memory
from engram_audio.memory.tables import verdict_table as memory_verdicts
from engram_audio.prediction import verdicts as prediction
from engram_audio.prediction.tables import prediction_table
from engram_audio.structure import verdicts as structure
from engram_audio.trust import verdicts as trust
from engram_audio.trust.bugs import BUGS
from engram_audio.verdicts import number
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED, Measured, above
from engram_audio.verdicts.row import INVALID, SHOWN
from tests import report_factorizer_tables, report_memory_tables
from tests.report_prediction_tables import (
    BASE,
    LEVELS,
    SETTINGS,
    SURROGATE,
    inputs_of,
    surrogate_levels,
)
from tests.unit import gate_tables
from tests.unit.test_calibration_stage import document

STEP, POSITION = "xₜ \N{MINUS SIGN} xₜ₋₁", "xₜ"


def swapped(table: pd.DataFrame, column: str) -> pd.DataFrame:
    """Return the table with the sign of one column and of its interval swapped."""
    ends = {"": "", "_low": "_high", "_high": "_low"}
    return table.assign(**{f"{column}{end}": -table[f"{column}{of}"] for end, of in ends.items()})


# --- prediction -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def predicted() -> pd.DataFrame:
    return prediction_table([inputs_of(BASE, LEVELS)], SETTINGS)


def of_cases(table: pd.DataFrame):
    return {row.case: row for row in prediction.verdict_rows(table, BASE)}


def test_prediction_tells_gains_from_ties(predicted):
    """Planted: 3 nats beyond the best null at lag 1; a tie with ridge at lag 2."""
    found = of_cases(predicted)
    assert {case: row.outcome for case, row in found.items()} == {
        f"{POSITION} at lag 1": MET, f"{POSITION} at lag 2": UNDECIDED,
        f"{STEP} at lag 1": MET, f"{STEP} at lag 2": UNDECIDED,
    }  # fmt: skip
    row = found[f"{STEP} at lag 1"]
    assert row.asked == above(0.0) and row.subject == BASE and row.unit == "nats/frame"
    # 5 standard errors of a difference of two means of 10 speakers with SD .2
    assert row.measured.value == pytest.approx(3.0, abs=0.45) and row.measured.low > 0
    assert "ridge (best on val)" in row.reason


def test_prediction_flips_with_the_sign_of_the_gain(predicted):
    found = of_cases(swapped(predicted, "gain_nats"))
    assert found[f"{STEP} at lag 1"].outcome == NOT_MET


def test_the_gain_is_told_with_its_sign_whatever_is_judged(predicted):
    """By equivalence a gain above 0 may be a no, so no sentence may claim one."""
    for table in (predicted, swapped(predicted, "gain_nats")):
        for row in of_cases(table).values():
            value = number.interval(*row.measured).partition(" ")[0]
            assert f"the head's gain over the best null is {value} nats/frame" in row.sentence


def test_a_bound_is_told_as_exactly_as_its_interval_is_known():
    narrow = prediction.judge_gain(Measured(2e-4, 1e-4, 3e-4), 4e-4)
    assert narrow.reason.startswith("its lower end 0.00010 is not above 0.00040")
    assert prediction.asked_of_gain(4e-4, 5).words == "above a surrogate's 0.00040"


def test_a_gain_whose_sign_hangs_on_the_tuning_is_undecided(predicted):
    """A tuned point that is as good on select gains nothing: 3 nats decide nothing."""
    ends = {"near_gain_nats_lowest": -0.1, "near_gain_nats_highest": 3.0}
    row = of_cases(predicted.assign(**ends))[f"{STEP} at lag 1"]
    assert row.outcome == UNDECIDED and "hangs on the tuning" in row.reason
    lost = swapped(predicted, "gain_nats").assign(**ends)
    assert of_cases(lost)[f"{STEP} at lag 1"].outcome == UNDECIDED
    agreeing = predicted.assign(near_gain_nats_lowest=2.5, near_gain_nats_highest=3.5)
    assert of_cases(agreeing)[f"{STEP} at lag 1"].outcome == MET


@pytest.mark.parametrize(
    ("interval", "surrogate", "outcome"),
    [
        ((1.0, 2.0), np.nan, MET),
        ((1.0, 2.0), 0.5, MET),
        ((1.0, 2.0), 1.5, UNDECIDED),
        ((1.0, 2.0), 3.0, UNDECIDED),  # its gain has no interval: it refuses a yes, it says no no
        ((1.0, 2.0), -1.0, MET),
        ((-1.0, 2.0), np.nan, UNDECIDED),
        ((-2.0, -1.0), -3.0, NOT_MET),
        ((-2.0, 1.0), -3.0, UNDECIDED),
        ((np.nan, np.nan), 0.0, UNDECIDED),
    ],
)
def test_a_gain_is_met_above_zero_and_above_surrogates(interval, surrogate, outcome):
    low, high = interval
    assert (
        prediction.judge_gain(Measured((low + high) / 2, low, high), surrogate).outcome == outcome
    )


@pytest.mark.parametrize(
    ("interval", "surrogate", "bound", "other"),
    [
        ((-0.125, 0.25), np.nan, "its lower end \N{MINUS SIGN}0.12 is not above 0", "surrogate"),
        (
            (-0.125, 0.25),
            0.5,
            "its lower end \N{MINUS SIGN}0.12 is above neither 0 nor 0.50",
            "not above",
        ),
        ((0.125, 0.25), 0.5, "its lower end 0.12 is not above 0.50", "neither"),
    ],
)
def test_an_open_gain_names_the_bound_that_it_misses(interval, surrogate, bound, other):
    """The second interval lies below what a surrogate gains, and that gain alone says no no."""
    low, high = interval
    judged = prediction.judge_gain(Measured((low + high) / 2, low, high), surrogate)
    assert judged.outcome == UNDECIDED
    assert judged.reason.startswith(bound) and other not in judged.reason
    assert ("cannot say no" in judged.reason) == (surrogate > 0)


@pytest.mark.parametrize(
    ("surrogate", "words"),
    [(np.nan, "above 0"), (-0.5, "above 0"), (0.25, "above a surrogate's 0.25")],
)
def test_what_is_asked_of_a_gain_says_whose_it_is(surrogate, words):
    asked = prediction.asked_of_gain(surrogate, 2)
    assert asked.words == words and asked.low == max(0.0, np.nan_to_num(surrogate))


def test_what_is_asked_of_a_gain_is_the_largest_gain_on_a_surrogate(predicted):
    table = prediction_table(
        [inputs_of(BASE, LEVELS), inputs_of(SURROGATE, surrogate_levels())], SETTINGS
    )
    own = table.loc[
        (table["representation"] == SURROGATE) & (table["part"] == "eval")
        & (table["slice"] == "all") & (table["kind"] == "head") & (table["lag_frames"] == 1)
        & (table["target"] == "delta")
    ]  # fmt: skip
    row = of_cases(table)[f"{STEP} at lag 1"]
    assert row.asked.low == max(0.0, own["gain_nats"].max())
    assert "surrogates gain up to" in row.reason


def test_three_seeds_are_judged_by_the_interval_over_seeds_and_speakers(predicted):
    """With fewer seeds the same columns are there, and the row is that of the first seed."""
    over = {"gain_seeds_nats": 5.0, "gain_seeds_nats_low": -1.0, "gain_seeds_nats_high": 11.0}
    rows = [
        of_cases(predicted.assign(num_seeds=count, **over))[f"{STEP} at lag 1"] for count in (2, 3)
    ]
    assert rows[0].measured == of_cases(predicted)[f"{STEP} at lag 1"].measured
    assert rows[1].measured == Measured(5.0, -1.0, 11.0) and rows[1].outcome == UNDECIDED
    assert "over 3 seeds" in rows[1].reason and "seeds" not in rows[0].reason


# --- factorizer -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def factorised() -> pd.DataFrame:
    return report_factorizer_tables.published()


def usage(table: pd.DataFrame):
    rows = factorizer.verdict_rows(table, BASE)
    return {row.case: row for row in rows if row.question == WORDS["factorizer"]}


def test_factorizer_variants_are_judged_and_sweep_points_are_not(factorised):
    found = usage(factorised)
    assert {case: row.outcome for case, row in found.items()} == {
        "charged": MET, "first_experiment": NOT_MET,
    }  # fmt: skip
    assert "collapsed: z_rec is redundant" in found["first_experiment"].reason
    assert found["charged"].measured.value == pytest.approx(0.3)  # the part that costs less


def test_a_free_state_is_not_honest_however_much_it_is_used(factorised):
    free = factorised.assign(is_honest=False, collapse="")
    assert "not honest" in usage(free)["charged"].reason


@pytest.mark.parametrize("case", ["shuffled_rec", "shuffled_dyn"])
def test_a_part_that_costs_nothing_is_not_used(factorised, case):
    """Either part, with the sign of its cost swapped, at 0, and without a number."""
    flipped = usage(swapped(factorised, f"cost_{case}"))["charged"]
    assert flipped.outcome == NOT_MET and flipped.measured.value < 0
    names = [f"cost_{case}{end}" for end in ("", "_low", "_high")]
    assert usage(factorised.assign(**dict.fromkeys(names, 0.0)))["charged"].outcome == NOT_MET
    missing = usage(factorised.assign(**dict.fromkeys(names, np.nan)))["charged"]
    assert missing.outcome == UNDECIDED and "no number" in missing.reason


def test_the_gain_over_the_direct_predictor_is_shown_and_judges_nothing(factorised):
    rows = factorizer.verdict_rows(factorised, BASE)
    direct = {row.case: row for row in rows if row.question == factorizer.DIRECT}
    assert direct["charged"].outcome == SHOWN
    assert direct["charged"].measured.value == pytest.approx(88.0 - 88.5)


# --- memory ---------------------------------------------------------------------------------------


def lookup(table: pd.DataFrame, num_seeds: int = 3):
    seeds = pd.concat([table.assign(seed=seed) for seed in range(num_seeds)], ignore_index=True)
    (row,) = memory.verdict_rows(memory_verdicts(seeds, report_memory_tables.VERDICT), BASE)
    return row


def test_networks_of_two_seeds_decide_nothing():
    """Neither a gain nor its opposite: a gain of one seed may be that seed's."""
    table = report_memory_tables.published()
    for one in (table, swapped(table, "gain_seeds_nats")):
        row = lookup(one, num_seeds=2)
        assert row.outcome == UNDECIDED and row.reason.startswith("too few seeds: 2 of 3")


def test_memory_is_met_over_every_control_and_flips_with_the_sign():
    """Planted: `robust` is 1 nat better than the strongest net of its size."""
    table = report_memory_tables.published()
    row = lookup(table)
    assert row.outcome == MET and row.asked == above(0.02) and row.case == "lag 1"
    assert "robust on linear" in row.sentence and "as many parameters" in row.sentence
    assert row.measured.value == pytest.approx(1.0)
    assert lookup(swapped(table, "gain_seeds_nats")).outcome == NOT_MET


def test_a_memory_without_numbers_is_undecided():
    ends = [f"gain_seeds_nats{end}" for end in ("", "_low", "_high")]
    table = report_memory_tables.published().assign(**dict.fromkeys(ends, np.nan))
    row = lookup(table)
    assert row.outcome == UNDECIDED and row.reason == "no control has a number"
    assert "against every control" in row.sentence


# --- structure ------------------------------------------------------------------------------------


def gate(table: list[dict[str, Any]], heads: float = 0.3):
    """Return the stage's rows for a planted table, and the decision they were made of."""
    one = gate_tables.decide(table, gate_tables.gains(heads))
    frame = pd.DataFrame(table)
    return structure.verdict_rows({gate_tables.NAME: one}, frame, gate_tables.SECTION), one


PLANTED = {
    "structured": gate_tables.rows(),
    "nothing": gate_tables.rows(**gate_tables.NOTHING_ADDED),
    "control off": gate_tables.rows(control_permuted=(0.1, 0.001)),
    "not attempted": gate_tables.rows(status="too many cells"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_gate_rows_are_carried_over_as_they_are(name: str):
    """Number, interval, sentence and reason of every row; only the outcome has another word."""
    rows, one = gate(PLANTED[name])
    words = {"pass": MET, "fail": NOT_MET, "undecided": UNDECIDED, "invalid": INVALID, None: SHOWN}
    gates = {
        "operative": [*one.first.rows, *one.first.heads],
        "literal": one.literal,
        "informational": one.informational,
    }
    for kind, question in structure.GATES.items():
        carried = [row.record() for row in rows if row.question == question]
        extra = [row for row in one.first.judged.deciding if row not in gates[kind]]
        assert len(carried) == len(gates[kind]) + (len(extra) if kind == "operative" else 0)
        by_place = {(row["case"], row["sentence"]): row for row in carried}
        for row in gates[kind]:
            found = next(each for (_, text), each in by_place.items() if text == row.sentence)
            assert found["outcome"] == words[row.outcome] and found["reason"] == row.reason
            document = row.document()
            assert found["value"] == document["value"]
            ends = None if found["low"] is None else [found["low"], found["high"]]
            assert ends == document["interval"]


def test_the_rows_that_decided_come_first_in_their_own_order():
    rows, one = gate(PLANTED["structured"])
    deciding = [row.sentence for row in rows if row.is_deciding]
    assert deciding == [row.sentence for row in one.first.judged.deciding] != []
    first = next(n for n, row in enumerate(rows) if not row.is_deciding and n > 0)
    assert all(row.is_deciding for row in rows[1:first]) and first == len(deciding) + 1


@pytest.mark.parametrize(
    ("name", "heads", "word", "outcome"),
    [
        ("structured", 0.3, "PROCEED", MET),
        ("nothing", 0.0, "STOP", NOT_MET),
        ("nothing", 0.3, "WRONG KEY (mean only)", NOT_MET),
        ("not attempted", 0.3, "INVALID", INVALID),
    ],
)
def test_the_word_of_the_gate_is_the_answer_of_the_stage(name, heads, word, outcome):
    rows, _ = gate(PLANTED[name], heads)
    answer = next(row for row in rows if row.question == WORDS["structure"])
    assert (answer.case, answer.outcome) == (word, outcome)
    assert answer.sentence.startswith(word)


def trust_of(rows):
    return {row.case: row for row in rows if row.question == WORDS["calibration"]}


def test_marks_of_trust_name_speakers_and_their_unevenness():
    marks = trust_of(gate(PLANTED["structured"])[0])
    speakers = marks["Speakers never seen in fitting"]
    assert speakers.measured.value == 101
    assert "As uneven as 90.0 equal ones" in speakers.sentence
    assert "the largest has 2.0 % of the frames" in speakers.sentence


@pytest.mark.parametrize(
    ("control", "outcome"),
    [((0.1, 0.001), NOT_MET), ((0.01, 0.01), UNDECIDED), ((0.0, 0.005), MET)],
)
def test_one_control_row_decides_its_mark(control, outcome):
    table = [*gate_tables.rows()]
    table[2] = gate_tables.row(control_permuted=control)  # eval, slice all
    assert trust_of(gate(table)[0])["Control: permuted keys"].outcome == outcome


# --- calibration ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "answers", "bugs"),
    [
        ({}, MET, MET), ({"verdict": False}, NOT_MET, MET), ({"coverage": 0.8}, NOT_MET, MET),
        ({"caught": False}, MET, NOT_MET),
    ],
)  # fmt: skip
def test_one_wrong_answer_spoils_the_calibration(changes, answers, bugs):
    content = document(**changes)
    known, planted = trust.verdict_rows(pd.DataFrame(content["rows"]), content)
    assert (known.outcome, planted.outcome) == (answers, bugs)


def test_the_calibration_counts_what_comes_out():
    content = document()
    known, planted = trust.verdict_rows(pd.DataFrame(content["rows"]), content)
    assert "4 of 4 known answers" in known.sentence and "1 of 1 verdicts" in known.sentence
    assert f"{len(BUGS)} of {len(BUGS)} planted bugs" in planted.sentence


def test_a_calibration_without_rows_is_undecided():
    content = document()
    known, _ = trust.verdict_rows(pd.DataFrame(content["rows"]).iloc[:0], content)
    assert known.outcome == UNDECIDED and known.reason == "no number"
