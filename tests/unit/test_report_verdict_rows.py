"""Verdict rows on the page: the drawing agrees with the numbers, and what was asked is said."""

import math

import pytest

from engram_audio.report.verdict_rows import MARKS, STRIP_WIDTH, by_subject, strip_of, view_row
from engram_audio.verdicts.judge import (
    MET,
    UNDECIDED,
    UNMEASURED,
    Judged,
    Measured,
    above,
    between,
    exact,
    without_threshold,
)
from engram_audio.verdicts.row import INVALID, OUTCOMES, VerdictRow, shown

ROW = VerdictRow(
    "structure", "operative gate", "mimi", "explained fraction · lag 2", Judged(UNDECIDED, ""),
    "pca.raw.kmeans_64, all frames: 12 %.", Measured(0.12, 0.015, 0.15), above(0.02),
)  # fmt: skip


def test_strip_keeps_the_order_of_value_interval_and_bar():
    strip = strip_of(0.12, 0.015, 0.15, [0.02])
    assert strip is not None
    assert 0 <= strip.low < strip.thresholds[0] < strip.value < strip.high <= STRIP_WIDTH


def test_numbers_never_round_an_interval_onto_its_bar():
    view = view_row(ROW)
    assert view.numbers == "0.120 [0.015, 0.150]"
    assert view.asked == "asked: above 0.02"


def test_a_unit_stands_behind_the_bar():
    assert view_row(ROW._replace(unit="nats/frame")).asked == "asked: above 0.02 nats/frame"


def test_a_range_has_two_bars():
    view = view_row(ROW._replace(asked=between(0.98, 1.02), measured=Measured(1.001, 0.99, 1.01)))
    assert view.asked == "asked: from 0.98 to 1.02"
    assert view.strip is not None
    assert view.strip.thresholds[0] < view.strip.low < view.strip.high < view.strip.thresholds[1]


def test_a_row_without_numbers_shows_its_reason_and_no_drawing():
    view = view_row(ROW._replace(measured=UNMEASURED, judged=Judged(INVALID, "no surrogate")))
    assert view.strip is None and view.numbers == ""
    assert view.where.endswith("no surrogate")
    assert view.mark == "void"


def test_a_row_that_is_only_shown_gives_a_null_and_asks_nothing():
    view = view_row(ROW._replace(judged=shown(), asked=without_threshold(0.5)))
    assert view.asked == "null: 0.5"
    assert view.mark == ""


def test_a_counted_number_has_no_interval_and_no_drawing():
    view = view_row(ROW._replace(measured=exact(0.75)))
    assert view.numbers == "0.75" and view.strip is None


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_has_its_colour_and_its_own_word(outcome):
    view = view_row(ROW._replace(judged=Judged(outcome, "")))
    assert view.outcome == outcome and view.mark == MARKS[outcome]


def test_rows_stand_by_subject_in_their_order():
    """A subject without a row stands last, with none."""
    rows = [ROW._replace(subject=name, case=case) for name, case in (("b", "1"), ("a", "1"),
                                                                     ("b", "2"))]  # fmt: skip
    groups = by_subject(rows, ["a", "c"])
    assert [(group.name, len(group.rows)) for group in groups] == [("b", 2), ("a", 1), ("c", 0)]


def test_the_page_holds_no_number_against_a_bar():
    """The outcome is the row's word, also where number and bar would say something else."""
    wrong = ROW._replace(judged=Judged(MET, ""), measured=Measured(-9.0, -9.5, -8.5))
    assert view_row(wrong).outcome == MET and view_row(wrong).mark == "good"
    assert math.isclose(wrong.measured.value, -9.0)
