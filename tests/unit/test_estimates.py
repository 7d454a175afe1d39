"""The structure table: every column is what its definition says, on tables with known ratios."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from engram_audio.structure.columns import STRUCTURE
from engram_audio.structure.comparisons import surrogates_of
from engram_audio.structure.side_tables import (
    curve_rows,
    linear_rows,
    ngram_rows,
    speaker_rows,
)
from engram_audio.structure.structure_table import analyse, structure_rows
from tests.unit.structure_scores import KEY, ORACLE, SIZE, Planted, linear_table, tables

LEVEL = 0.95
TWINS = {"shuffled": Planted(eval=0.0), "phase_randomized": Planted(eval=0.005)}
FRAME_RATE_HZ = 12.5


def structure(planted: Planted, surrogates: dict[str, Planted] | None = None) -> pd.DataFrame:
    twins = {
        name: analyse(*tables(one, noise_seed=9 + place))
        for place, (name, one) in enumerate((surrogates or {}).items())
    }
    linear = linear_rows(linear_table(), LEVEL)
    return structure_rows(analyse(*tables(planted)), twins, linear, FRAME_RATE_HZ, LEVEL)


def row_of(table: pd.DataFrame, part: str = "eval", key: str = KEY, lag: int = 2) -> dict[str, Any]:
    chosen = (table["part"] == part) & (table["key"] == key) & (table["lag_frames"] == lag)
    (row,) = table.loc[chosen].to_dict("records")
    return {str(name): value for name, value in row.items()}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return structure(Planted(val=0.12, eval=0.1), TWINS)


def test_one_row_for_each_key_lag_and_part(table):
    assert len(table) == 2 * 2 * 3
    assert not table.duplicated(["key", "lag_frames", "slice", "subspace", "part"]).any()


def test_few_speakers_leave_no_rows_of_select():
    found = structure(Planted(parts=("val", "eval")))
    assert set(found["part"]) == {"val", "eval"}


def test_every_column_is_declared_and_arranged(table):
    whole = table.assign(representation="x", split_seed=0)
    assert set(STRUCTURE.arrange(whole).columns) == set(whole.columns)


def test_added_is_a_ratio_of_sums_over_speakers_paired_and_corrected(table):
    scores, _ = tables(Planted(val=0.12, eval=0.1))
    rows = scores.loc[
        (scores["key"] == KEY) & (scores["lag_frames"] == 2) & (scores["part"] == "eval")
        & (scores["control"] == "none")
    ]  # fmt: skip
    gain = (rows["sse_linear"] - rows["sse_joint"] + rows["cost_joint"]).to_numpy()
    zero = rows["sse_zero"].to_numpy()
    added, share = gain.sum() / zero.sum(), zero / zero.sum()
    deleted = (gain - added * zero) / zero.sum() / (1 - share)
    found = row_of(table)
    assert found["added"] == pytest.approx(added)
    assert found["added_se"] == pytest.approx(np.sqrt(np.sum(deleted**2)))
    half = stats.t.ppf(0.975, found["added_df"]) * found["added_se"]
    assert found["added_high"] - found["added"] == pytest.approx(half)
    assert found["num_speakers"] == len(rows)
    assert found["num_effective_speakers"] == pytest.approx(1 / np.sum(share**2))
    assert found["largest_speaker_share"] == pytest.approx(share.max())


def test_explained_linear_and_the_costs_of_fitting(table):
    found = row_of(table)
    assert found["ratio"] == pytest.approx(0.71)
    assert found["explained"] == pytest.approx(0.3)
    assert found["linear_r2"] == pytest.approx(0.2)
    assert found["cost_of_fitting"] == pytest.approx(0.01)
    assert found["oracle_cost_of_fitting"] == pytest.approx(0.01)


def test_the_fraction_is_relative_to_the_oracle_and_paired_with_it(table):
    found, oracle = row_of(table), row_of(table, key=ORACLE)
    assert found["attainable"] == pytest.approx(oracle["added"])
    assert found["added_fraction"] == pytest.approx(found["added"] / oracle["added"])
    assert oracle["added_fraction"] == pytest.approx(1)
    assert oracle["added_fraction_se"] == pytest.approx(0, abs=1e-12)
    assert np.isnan(oracle["explained"]) and np.isnan(oracle["added_nats_per_frame"])


@pytest.mark.parametrize("attainable", [0.0, -0.05])
def test_where_nothing_is_attainable_there_is_no_fraction(attainable: float):
    found = row_of(structure(Planted(eval=0.0, attainable=attainable, speaker_sd=0.0)))
    assert np.isnan(found["added_fraction"]) and np.isfinite(found["added"])


def test_controls_are_fractions_and_zero_is_expected(table):
    found = row_of(table)
    for control in ("permuted", "swapped"):
        value, error = found[f"control_{control}"], found[f"control_{control}_se"]
        assert abs(value) < 4 * error and error < 0.01
    shifted = row_of(structure(Planted(control_swapped=0.5)))
    assert shifted["control_swapped"] == pytest.approx(0.5, abs=0.02)


def test_surrogates_stand_beside_and_decide_nothing(table):
    found = row_of(table)
    assert found["added_shuffled"] == pytest.approx(0, abs=0.02)
    assert found["added_phase_randomized_low"] < found["added_phase_randomized"] < 0.03
    assert np.isnan(found["added_var"])
    assert not {"advantage", "best_surrogate"} & set(table.columns)


def test_transfer_loss_is_that_of_what_is_added(table):
    found, val = row_of(table), row_of(table, part="val")
    expected = 1 - found["added"] / val["added"]
    assert found["transfer_loss"] == pytest.approx(expected)
    assert found["transfer_loss_low"] < expected < found["transfer_loss_high"]
    assert np.isnan(val["transfer_loss"])


@pytest.mark.parametrize("val", [0.001, -0.1])
def test_where_val_is_not_surely_above_zero_nothing_can_be_lost(val: float):
    found = row_of(structure(Planted(val=val, eval=0.1)))
    names = ["transfer_loss", "transfer_loss_low", "transfer_loss_high"]
    assert np.isnan([found[name] for name in names]).all()


def test_excluded_mass_of_the_key_and_of_its_oracle():
    found = row_of(structure(Planted(excluded_eval=0.8)))
    # rounding of 800 frames: .002
    assert found["excluded_mass"] == pytest.approx(0.8, abs=0.002)
    assert found["oracle_excluded_mass"] == 0


def test_a_key_that_was_not_attempted_keeps_its_row():
    reason = "not_attempted: 64 cells need 6400 train frames, have 100"
    table = structure(Planted(status=reason))
    found = row_of(table)
    assert found["status"] == reason
    assert np.isnan(found["added"]) and np.isnan(found["added_fraction"])
    assert found["codebook_size"] == SIZE


def test_units_of_nats(table):
    found = row_of(table)
    assert found["added_nats_per_frame"] == pytest.approx(0.5)
    assert found["added_nats_per_frame_low"] < 0.5 < found["added_nats_per_frame_high"]
    assert found["added_bits_per_s"] == pytest.approx(0.5 * 12.5 / np.log(2))
    assert found["key_information_nats_per_frame"] == pytest.approx(0.25)
    assert found["bits_used_fraction"] == pytest.approx(0.5)


def test_linear_nulls_stand_beside_each_row(table):
    assert row_of(table, lag=1)["white_noise_r2"] == pytest.approx(0.5, abs=0.01)
    assert row_of(table, lag=2)["ar1_r2"] == pytest.approx(0.0, abs=0.01)


def test_same_inputs_same_bits(table):
    again = structure(Planted(val=0.12, eval=0.1), TWINS)
    pd.testing.assert_frame_equal(table, again, check_exact=True)


def test_order_of_the_score_rows_does_not_matter(table):
    scores, keys = tables(Planted())
    shuffled = scores.sample(frac=1.0, random_state=0)
    linear = linear_rows(linear_table(), 0.95)
    first, second = (
        structure_rows(analyse(rows, keys), {}, linear, FRAME_RATE_HZ, LEVEL)
        for rows in (scores, shuffled)
    )
    pd.testing.assert_frame_equal(first, second)


def test_surrogates_are_found_on_the_same_split():
    one = analyse(*tables(Planted()))
    known = {("a", 0): one, ("a--shuffled", 0): one, ("a--var", 1): one, ("ab--var", 0): one}
    assert set(surrogates_of(("a", 0), known)) == {"shuffled"}


def test_linear_rows_have_r2_and_cosine():
    rows = linear_rows(linear_table(), 0.95)
    found = rows[(rows["model"] == "ridge") & (rows["lag_frames"] == 1) & (rows["part"] == "eval")]
    assert found["cosine"].item() == pytest.approx(0.6)
    assert found["r2_low"].item() < 0.4 < found["r2_high"].item()


def test_curves_recompute_both_sums_on_the_kept_frames():
    rows = pd.DataFrame(
        [
            {"key": KEY, "lag_frames": 1, "slice": "all", "part": "eval", "speaker_id": speaker,
             "kept_fraction": 0.5, "matching": "plain", "num_frames": 10, "sse_residual": residual,
             "sse_total": 10.0}
            for speaker, residual in (("a", 4.0), ("b", 6.0))
        ]
    )  # fmt: skip
    found = curve_rows(rows, 0.95)
    assert found["ratio"].item() == pytest.approx(0.5) and found["num_speakers"].item() == 2


def test_ngram_coverage_is_a_share_and_unknown_without_ngrams():
    rows = pd.DataFrame({"num_ngrams": [10, 0], "num_covered": [4, 0]})
    coverage = ngram_rows(rows)["coverage"]
    assert coverage.iloc[0] == pytest.approx(0.4) and np.isnan(coverage.iloc[1])


def test_speaker_rows_hold_each_speakers_own_ratio():
    analysed = analyse(*tables(Planted(num_speakers=5)))
    rows = speaker_rows(analysed)
    assert len(rows) == 2 * 2 * 3 * 5  # keys, lags, parts, speakers
    assert set(rows["part"]) == {"val", "select", "eval"}
    assert rows.loc[rows["key"] == KEY, "ratio"].between(0.4, 0.8).all()
