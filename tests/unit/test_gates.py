"""Gate rows: an interval passes or fails only when it lies wholly on one side."""

import json
import math

import numpy as np
import pytest
from scipy import stats

from engram_audio.stats.config import StatisticsSection
from engram_audio.structure.config import LiteralGate, OperativeGate
from engram_audio.structure.gate_row import GateRow, Measured, judge
from engram_audio.structure.gates import Place, literal_rows, measure, operative_rows
from engram_audio.structure.side_tables import linear_rows
from engram_audio.structure.structure_table import Unit, analyse, structure_rows
from tests.unit.structure_scores import KEY, Planted, linear_table, tables

GATE = OperativeGate(
    minimum_explained_fraction=0.02,
    minimum_advantage=0.02,
    maximum_transfer_loss=0.2,
    minimum_explained_for_transfer=0.05,
    maximum_excluded_mass=0.1,
    control_tolerance=0.02,
)
LITERAL = LiteralGate(maximum_ratio=0.6, maximum_transfer_loss=0.2)
STATISTICS = StatisticsSection(confidence=0.95, bootstrap_draws=100, seed=0)
SURROGATE = Planted(val=0.95, eval=0.95)


def place_of(planted: Planted, surrogate: Planted | None = SURROGATE, kind: str = "var") -> Place:
    twins = {} if surrogate is None else {kind: analyse(*tables(surrogate, noise_seed=5))}
    linear = linear_rows(linear_table(), 0.95)
    rows = structure_rows(analyse(*tables(planted)), twins, linear, Unit(12.5, 16), STATISTICS, "x")
    rows = rows[(rows["key"] == KEY) & (rows["lag_frames"] == 2)].set_index("part", drop=False)
    val, evaluated = (rows.loc[part].to_dict() for part in ("val", "eval"))
    return Place("x", 0, KEY, 2, "all", val, evaluated)


def rows_of(planted: Planted, surrogate: Planted | None = SURROGATE) -> dict[str, GateRow]:
    rows = operative_rows(place_of(planted, surrogate), GATE, 0.95)
    return {row.name: row for row in rows}


@pytest.mark.parametrize(
    ("low", "high", "direction", "outcome"),
    [
        (0.3, 0.4, "above", "pass"),
        (0.1, 0.15, "above", "fail"),
        (0.1, 0.3, "above", "undecided"),
        (0.1, 0.15, "below", "pass"),
        (0.3, 0.4, "below", "fail"),
        (0.1, 0.3, "below", "undecided"),
        (0.2, 0.3, "above", "undecided"),
        (0.9, 1.1, "within", "pass"),
        (0.7, 1.1, "within", "undecided"),
        (1.3, 1.4, "within", "invalid"),
        (0.6, 0.7, "within", "invalid"),
        (math.nan, math.nan, "above", "invalid"),
    ],
)
def test_only_a_whole_interval_decides(low, high, direction, outcome):
    assert judge(Measured((low + high) / 2, low, high), 0.2, direction) == outcome


def test_structure_that_transfers_passes_every_row():
    outcomes = {name: row.outcome for name, row in rows_of(Planted()).items()}
    assert set(outcomes.values()) == {"pass"}, outcomes
    assert list(outcomes) == [
        "explained_fraction", "advantage", "transfer_loss", "excluded_mass_val",
        "excluded_mass_eval", "control_permuted", "control_swapped",
    ]  # fmt: skip


def test_nothing_explained_fails_the_explained_row_and_leaves_the_transfer_row_open():
    rows = rows_of(Planted(val=1.004, eval=1.004, speaker_sd=0.002))
    assert rows["explained_fraction"].outcome == "fail"
    assert rows["transfer_loss"].outcome == "undecided"
    assert "too little to ask" in rows["transfer_loss"].reason


def test_a_surrogate_that_explains_as_much_fails_the_advantage_row():
    rows = rows_of(Planted(speaker_sd=0.005), Planted(val=0.6, eval=0.6, speaker_sd=0.005))
    assert rows["explained_fraction"].outcome == "pass"
    assert rows["advantage"].outcome == "fail"


def test_without_a_surrogate_the_advantage_row_is_invalid():
    row = rows_of(Planted(), None)["advantage"]
    assert row.outcome == "invalid" and row.reason.startswith("no surrogate")


def test_without_the_linear_twin_nothing_is_beyond_linear_correlation():
    """Shuffled frames keep no correlation at all: a key beyond them may be a linear map.

    A key that does not even exceed these fails, whatever a linear twin would explain.
    """
    rows = {
        row.name: row for row in operative_rows(place_of(Planted(), kind="shuffled"), GATE, 0.95)
    }
    assert rows["explained_fraction"].outcome == "pass"
    assert rows["advantage"].outcome == "invalid" and "add var" in rows["advantage"].reason
    poor = Planted(val=0.6, eval=0.6, speaker_sd=0.005)
    place = place_of(Planted(speaker_sd=0.005), poor, "phase_randomized")
    rows = {row.name: row for row in operative_rows(place, GATE, 0.95)}
    assert rows["advantage"].outcome == "fail"


def test_a_loss_on_new_speakers_fails_the_transfer_row():
    row = rows_of(Planted(val=0.6, eval=0.8))["transfer_loss"]
    assert row.outcome == "fail"
    assert row.measured.value == pytest.approx(0.5, abs=0.1)


def test_too_much_excluded_val_mass_spoils_every_number():
    """Too little data for so many cells: nothing is said, and that is not a no."""
    rows = rows_of(Planted(val=1.2, eval=1.2, excluded_val=0.4, excluded_eval=0.4))
    for name in ("explained_fraction", "advantage", "transfer_loss", "excluded_mass_val"):
        assert rows[name].outcome == "invalid", name


def test_too_much_excluded_eval_mass_leaves_the_transfer_row():
    """Cells that eval speakers never visit: their frames count as explaining nothing."""
    rows = rows_of(Planted(val=0.5, eval=1.5, excluded_eval=0.86))
    assert rows["explained_fraction"].outcome == "invalid"
    assert rows["transfer_loss"].outcome == "fail"
    assert rows["transfer_loss"].measured.value > 0.9


def test_cells_that_eval_speakers_never_visit_at_all_lose_everything():
    row = rows_of(Planted(val=0.5, eval=0.5, excluded_eval=1.0))["transfer_loss"]
    assert row.measured.value == pytest.approx(1.0)
    assert row.outcome == "fail"


@pytest.mark.parametrize("control", ["control_permuted", "control_swapped"])
def test_a_control_below_one_spoils_every_number(control: str):
    planted = Planted(val=0.6, eval=0.9)._replace(**{control: 0.9})
    rows = rows_of(planted)
    assert rows[control].outcome == "invalid"
    for name in ("explained_fraction", "advantage", "transfer_loss"):
        assert rows[name].outcome == "invalid"
        assert "the instrument is off" in rows[name].reason


def test_a_control_above_one_spoils_what_it_makes_look_worse():
    rows = rows_of(Planted(val=0.6, eval=0.9, control_swapped=1.1))
    assert rows["explained_fraction"].outcome == "invalid"
    assert rows["transfer_loss"].outcome == "fail"


def test_a_noisy_control_is_open_and_spoils_nothing():
    rows = rows_of(Planted(control_swapped=1.02))  # on the edge of the tolerance
    assert rows["control_swapped"].outcome == "undecided"
    assert rows["explained_fraction"].outcome == "pass"


def test_a_key_that_was_not_attempted_says_why_in_every_row():
    reason = "not_attempted: 64 cells need 6400 train frames, have 100"
    rows = rows_of(Planted(status=reason))
    assert {row.outcome for row in rows.values()} == {"invalid"}
    assert all(reason in row.sentence for row in rows.values())


def test_a_key_that_is_not_in_the_table_is_invalid():
    rows = operative_rows(Place("x", 0, KEY, 2, "all", {}, {}), GATE, 0.95)
    assert {row.outcome for row in rows} == {"invalid"}


def test_the_literal_gate_is_judged_by_the_plain_ratio():
    rows = {row.name: row for row in literal_rows(place_of(Planted()), LITERAL, GATE, 0.95)}
    assert rows["ratio"].outcome == "undecided"
    rows = literal_rows(place_of(Planted(eval=0.5, val=0.5)), LITERAL, GATE, 0.95)
    assert rows[0].outcome == "pass"


def test_intervals_are_formed_at_the_level_of_the_gate():
    row = place_of(Planted()).eval
    wide, narrow = measure(row, "ratio", 0.99), measure(row, "ratio", 0.90)
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(
        stats.t.ppf(0.995, 19) / stats.t.ppf(0.95, 19)
    )
    published = measure(row, "ratio", STATISTICS.confidence)
    assert (published.low, published.high) == pytest.approx((row["ratio_low"], row["ratio_high"]))


def test_documents_are_json_without_nan_and_their_sentences_end():
    reason = "not_attempted: too few"
    for planted in (Planted(), Planted(status=reason), Planted(val=1.0, eval=1.0)):
        for row in rows_of(planted).values():
            document = row.document()
            json.dumps(document, allow_nan=False)
            assert document["sentence"].endswith(".") and len(document["sentence"]) > 40
            assert document["outcome"] in ("pass", "fail", "undecided", "invalid")


def test_margins_order_rows_by_how_close_they_are():
    near, far = rows_of(Planted(eval=0.97, val=0.97)), rows_of(Planted(eval=0.6, val=0.6))
    assert near["explained_fraction"].margin < far["explained_fraction"].margin
    failing = rows_of(Planted(eval=1.1, val=1.1))["explained_fraction"]
    assert failing.margin < 0 < far["explained_fraction"].margin
    assert np.isinf(far["control_permuted"].margin)
