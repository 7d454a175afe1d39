"""The law of the judge: an interval inside the range, outside of it, or neither."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_audio.verdicts.judge import (
    MET,
    NOT_MET,
    UNDECIDED,
    Asked,
    Judged,
    Measured,
    above,
    all_of,
    at_least,
    at_most,
    below,
    between,
    exact,
    judge,
)

NAN = math.nan
TENTHS = st.integers(-20, 20).map(lambda number: number / 10)
ENDS = st.tuples(TENTHS, TENTHS, TENTHS).map(sorted)


@pytest.mark.parametrize(
    ("low", "high", "asked", "outcome"),
    [
        (0.03, 0.05, above(0.02), MET),
        (0.01, 0.015, above(0.02), NOT_MET),
        (0.01, 0.03, above(0.02), UNDECIDED),
        # an interval that touches the bar
        (0.02, 0.03, above(0.02), UNDECIDED),
        (0.01, 0.02, above(0.02), NOT_MET),
        (0.02, 0.03, at_least(0.02), MET),
        (0.01, 0.02, at_least(0.02), UNDECIDED),
        (0.01, 0.02, below(0.02), UNDECIDED),
        (0.02, 0.03, below(0.02), NOT_MET),
        (0.01, 0.02, at_most(0.02), MET),
        (0.02, 0.03, at_most(0.02), UNDECIDED),
        # a range with two ends
        (0.95, 1.05, between(0.95, 1.05), MET),
        (0.9, 1.1, between(0.95, 1.05), UNDECIDED),
        (1.05, 1.1, between(0.95, 1.05), UNDECIDED),
        (1.06, 1.1, between(0.95, 1.05), NOT_MET),
        (0.9, 0.94, between(0.95, 1.05), NOT_MET),
        # no interval
        (NAN, NAN, above(0.02), UNDECIDED),
        (0.03, NAN, above(0.02), UNDECIDED),
        (NAN, 0.01, above(0.02), UNDECIDED),
        (0.03, math.inf, above(0.02), UNDECIDED),
    ],
)
def test_only_an_interval_on_one_side_decides(low, high, asked, outcome):
    assert judge(Measured(1.0, low, high), asked).outcome == outcome


@pytest.mark.parametrize("value", [NAN, math.inf, -math.inf])
def test_no_number_is_undecided_whatever_its_interval(value):
    """Also an interval that would meet the bar cannot speak for a number that is not there."""
    assert judge(Measured(value, 0.1, 0.2), above(0.0)) == Judged(UNDECIDED, "no number")


def test_a_number_without_an_interval_says_so():
    assert judge(Measured(0.5, NAN, NAN), above(0.0)) == Judged(UNDECIDED, "no interval")


def test_a_counted_number_is_its_own_interval():
    """0 of 240 paths meet `at most 0` and do not meet `below 0`."""
    assert judge(exact(0.0), at_most(0.0)).outcome == MET
    assert judge(exact(0.0), below(0.0)).outcome == NOT_MET
    assert judge(exact(NAN), at_most(0.0)).outcome == UNDECIDED


@given(ENDS, TENTHS)
def test_swapping_all_signs_changes_no_outcome(ends, bar):
    low, value, high = ends
    measured = Measured(value, low, high)
    assert judge(measured, above(bar)).outcome == judge(-measured, below(-bar)).outcome
    assert judge(measured, at_least(bar)).outcome == judge(-measured, at_most(-bar)).outcome


@given(ENDS, TENTHS)
def test_the_opposite_question_gets_the_opposite_answer(ends, bar):
    """`above b` and `at most b` share no number and leave none out."""
    low, value, high = ends
    opposite = {MET: NOT_MET, NOT_MET: MET, UNDECIDED: UNDECIDED}
    measured = Measured(value, low, high)
    assert judge(measured, above(bar)).outcome == opposite[judge(measured, at_most(bar)).outcome]


def test_a_row_flips_with_the_sign_of_its_value():
    assert judge(Measured(0.3, 0.2, 0.4), above(0.1)).outcome == MET
    assert judge(-Measured(0.3, 0.2, 0.4), above(0.1)).outcome == NOT_MET
    assert judge(-Measured(0.3, 0.2, 0.4), above(-0.1)).outcome == NOT_MET


@pytest.mark.parametrize("outcome", [MET, NOT_MET, UNDECIDED])
def test_the_reason_names_what_is_asked(outcome):
    low = {MET: 0.3, NOT_MET: -0.5, UNDECIDED: 0.0}[outcome]
    judged = judge(Measured(low, low, low + 0.2), above(0.1))
    assert judged.outcome == outcome and "above 0.1" in judged.reason


def test_a_mistake_of_the_caller_is_refused():
    with pytest.raises(ValueError, match="swapped"):
        judge(Measured(0.1, 0.2, 0.0), above(0.0))
    with pytest.raises(ValueError, match="NaN"):
        above(NAN)
    with pytest.raises(ValueError, match="lower end"):
        between(1.0, 0.0)
    with pytest.raises(ValueError, match="no bar"):
        all_of([])


def test_bars_are_joined_by_the_first_fault_then_the_first_doubt():
    met, doubt, fault = Judged(MET, "a"), Judged(UNDECIDED, "b"), Judged(NOT_MET, "c")
    assert all_of([met, doubt, fault, Judged(NOT_MET, "d")]) == fault
    assert all_of([met, doubt, met]) == doubt
    assert all_of([met, met]) == Judged(MET, "every bar is met")
    assert all_of([met]) == met


def test_words_give_the_bar_as_it_was_configured():
    asked: list[Asked] = [above(0.02), at_most(0.0), between(0.95, 1.05)]
    assert [one.words for one in asked] == ["above 0.02", "at most 0", "from 0.95 to 1.05"]
