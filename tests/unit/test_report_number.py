"""Numbers are written with the digits that their interval supports, and never invented."""

import math

import pytest

from engram_audio.verdicts import number


def test_interval_shows_its_width_with_two_significant_digits():
    assert number.interval(0.98612, 0.98431, 0.98793) == "0.9861 [0.9843, 0.9879]"
    assert number.interval(0.98612, 0.91, 1.06) == "0.99 [0.91, 1.06]"
    assert number.interval(12.3, 2.0, 31.0) == "12 [2, 31]"


@pytest.mark.parametrize("width", [1e-5, 0.003, 0.0999, 0.1, 0.7, 3.0])
def test_decimals_leave_at_least_two_digits_of_the_width(width):
    shown = round(width, number.decimals_of_width(width))
    assert math.isclose(shown, width, rel_tol=0.05), "two digits round by at most 5 %"


def test_missing_numbers_are_a_dash_and_an_open_side_shows():
    assert number.interval(math.nan, None, "") == number.MISSING
    assert number.interval(0.98612, math.nan, None) == "0.986"
    assert number.interval(0.98612, math.nan, None, 1) == "1.0"
    assert number.interval(0.5, 0.1, math.nan) == f"0.500 [0.100, {number.MISSING}]"
    assert number.fixed("not a number") == number.MISSING
    assert number.count(math.inf) == number.MISSING


def test_negative_zero_and_signs_are_typographic():
    assert number.fixed(-0.0001, 2) == "0.00"
    assert number.fixed(-0.25, 2) == f"{number.MINUS}0.25"
    assert number.fixed(math.inf) == "∞"


def test_durations_counts_and_shares():
    assert number.duration(3.21) == "3.2 s"
    assert number.duration(245) == "4 min 05 s"
    assert number.duration(7620) == "2 h 07 min"
    assert number.count(18400) == "18\N{NARROW NO-BREAK SPACE}400"
    assert number.percent(0.0123) == "1.2 %"


def test_names_are_words_and_a_missing_one_is_nothing():
    assert number.words("best_null_of_all") == "best null of all"
    assert [number.words(name) for name in (None, math.nan, "")] == ["", "", ""]
