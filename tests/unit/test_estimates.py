"""The structure table: every column is what its definition says, on tables with known ratios."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from engram_audio.stats.config import StatisticsSection
from engram_audio.structure.comparisons import surrogates_of
from engram_audio.structure.side_tables import (
    curve_rows,
    linear_rows,
    ngram_rows,
    speaker_rows,
)
from engram_audio.structure.structure_table import Unit, analyse, structure_rows, subspace_dims
from tests.unit.structure_scores import KEY, ORACLE, SIZE, Planted, linear_table, tables

STATISTICS = StatisticsSection(confidence=0.95, bootstrap_draws=500, seed=0)
TWINS = {"shuffled": Planted(eval=1.0), "phase_randomized": Planted(eval=0.9)}
UNIT = Unit(frame_rate_hz=12.5, num_dims=32)


def structure(planted: Planted, surrogates: dict[str, Planted] | None = None) -> pd.DataFrame:
    twins = {
        name: analyse(*tables(one, noise_seed=9 + place))
        for place, (name, one) in enumerate((surrogates or {}).items())
    }
    linear = linear_rows(linear_table(), STATISTICS.confidence)
    return structure_rows(analyse(*tables(planted)), twins, linear, UNIT, STATISTICS, "x/0")


def row_of(table: pd.DataFrame, part: str = "eval", key: str = KEY, lag: int = 2) -> dict[str, Any]:
    chosen = (table["part"] == part) & (table["key"] == key) & (table["lag_frames"] == lag)
    (row,) = table.loc[chosen].to_dict("records")
    return {str(name): value for name, value in row.items()}


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return structure(Planted(val=0.6, eval=0.65, floor=0.5), TWINS)


def test_one_row_for_each_key_lag_and_part(table):
    assert len(table) == 2 * 2 * 2
    assert not table.duplicated(["key", "lag_frames", "slice", "subspace", "part"]).any()


def test_ratio_is_the_ratio_of_sums_over_speakers(table):
    scores, _ = tables(Planted(val=0.6, eval=0.65, floor=0.5))
    rows = scores.loc[
        (scores["key"] == KEY)
        & (scores["lag_frames"] == 2)
        & (scores["part"] == "eval")
        & (scores["control"] == "none")
    ]
    residual, total = rows["sse_residual"].to_numpy(), rows["sse_total"].to_numpy()
    ratio = residual.sum() / total.sum()
    error = np.sqrt(len(rows) / (len(rows) - 1) * np.sum((residual - ratio * total) ** 2))
    found = row_of(table)
    assert found["ratio"] == pytest.approx(ratio)
    assert found["ratio_se"] == pytest.approx(error / total.sum())
    half = stats.t.ppf(0.975, len(rows) - 1) * error / total.sum()
    assert found["ratio_high"] - found["ratio"] == pytest.approx(half)
    assert found["num_speakers"] == len(rows)


def test_bootstrap_interval_agrees_with_the_t_interval(table):
    """20 speakers: the percentile interval is narrower by z/t * sqrt(19/20) = .91; MC 10 %."""
    found = row_of(table)
    width = found["ratio_high"] - found["ratio_low"]
    bootstrap = found["ratio_bootstrap_high"] - found["ratio_bootstrap_low"]
    assert 0.75 < bootstrap / width < 1.05
    assert found["explained_fraction_bootstrap_low"] < found["explained_fraction"]


def test_explained_fraction_is_relative_to_the_floor(table):
    found = row_of(table)
    expected = (1 - found["ratio"]) / (1 - found["floor"])
    assert found["explained_fraction"] == pytest.approx(expected)
    assert found["explained_variance_percent"] == pytest.approx(100 * (1 - found["ratio"]))
    assert found["explained_variance_percent_low"] == pytest.approx(100 * (1 - found["ratio_high"]))


def test_the_oracle_explains_all_that_can_be_explained(table):
    found = row_of(table, key=ORACLE)
    assert found["explained_fraction"] == pytest.approx(1.0)
    assert found["explained_fraction_se"] == pytest.approx(0.0, abs=1e-12)


def test_corrections_for_degrees_of_freedom(table):
    found = row_of(table)
    assert found["ratio_df_corrected"] == pytest.approx(found["ratio"] / 1.01)
    assert found["ratio_own_means"] == pytest.approx(0.7)
    assert found["ratio_own_means_df_corrected"] == pytest.approx(0.7 * 1000 / 950)
    assert found["control_permuted"] == pytest.approx(1.0, abs=4 * found["control_permuted_se"])


def test_advantage_is_paired_over_the_best_surrogate(table):
    found = row_of(table)
    assert found["best_surrogate"] == "phase_randomized"
    assert found["ratio_best_surrogate"] == found["ratio_phase_randomized"]
    expected = found["explained_fraction"] - found["explained_fraction_phase_randomized"]
    assert found["advantage"] == pytest.approx(expected)
    assert found["explained_fraction_shuffled"] < found["explained_fraction_phase_randomized"]


def test_pairing_removes_what_speakers_share():
    """With the same speaker deviations the ratios' errors cancel; only the floor's remains.

    The advantage is (R' - R) / (1 - F), so that remainder is advantage / (1 - F) * se(F).
    """
    same = Planted(eval=0.6)
    twin = analyse(*tables(Planted(eval=0.8)))
    linear = linear_rows(linear_table(), 0.95)
    found = structure_rows(analyse(*tables(same)), {"var": twin}, linear, UNIT, STATISTICS, "x")
    row = row_of(found)
    floor_se = row_of(found, key=ORACLE)["ratio_se"]
    remainder = row["advantage"] / (1 - row["floor"]) * floor_se
    assert row["advantage_se"] == pytest.approx(remainder, rel=0.05)
    assert row["advantage_se"] < 0.5 * row["explained_fraction_se"]


def test_transfer_loss_is_that_of_all_frames(table):
    found, val = row_of(table), row_of(table, part="val")
    expected = 1 - (1 - found["ratio_all_frames"]) / (1 - val["ratio_all_frames"])
    assert found["transfer_loss"] == pytest.approx(expected)
    assert found["transfer_loss_low"] < expected < found["transfer_loss_high"]
    assert np.isnan(val["transfer_loss"])


def test_excluded_frames_count_as_explaining_nothing():
    found = row_of(structure(Planted(val=0.5, eval=0.5, excluded_eval=0.8)))
    # four fifths of the frames score 1 and the rest about 1/2 (rounding of 800 frames: .002)
    assert found["ratio_all_frames"] == pytest.approx(0.8 + 0.2 * found["ratio"], abs=0.002)
    assert found["excluded_mass"] == pytest.approx(0.8, abs=0.002)
    assert found["transfer_loss"] == pytest.approx(0.8, abs=0.05)


def test_a_key_that_was_not_attempted_keeps_its_row():
    reason = "not_attempted: 64 cells need 6400 train frames, have 100"
    table = structure(Planted(status=reason))
    found = row_of(table)
    assert found["status"] == reason
    assert np.isnan(found["ratio"]) and np.isnan(found["explained_fraction"])
    assert found["codebook_size"] == SIZE


def test_units_of_nats(table):
    found = row_of(table)
    assert found["nats_per_frame"] == pytest.approx(0.5)
    assert found["nats_per_dim"] == pytest.approx(0.5 / 32)
    assert found["bits_per_s"] == pytest.approx(0.5 * 12.5 / np.log(2))
    assert found["nats_per_frame_mean_part"] == pytest.approx(0.25)
    assert found["bits_used_fraction"] == pytest.approx(0.5)


def test_linear_nulls_stand_beside_each_row(table):
    assert row_of(table, lag=1)["white_noise_r2"] == pytest.approx(0.5, abs=0.01)
    assert row_of(table, lag=1)["ridge_r2"] == pytest.approx(0.4, abs=0.01)
    assert row_of(table, lag=2)["ridge_r2"] == pytest.approx(0.0, abs=0.01)


def test_without_surrogates_the_advantage_is_unknown():
    found = row_of(structure(Planted()))
    assert found["best_surrogate"] is None and np.isnan(found["advantage"])


def test_a_floor_at_or_above_one_gives_no_explained_fraction():
    found = row_of(structure(Planted(eval=1.2, floor=1.1)))
    assert np.isnan(found["explained_fraction"]) and found["ratio"] > 1


def test_same_inputs_same_bits(table):
    again = structure(Planted(val=0.6, eval=0.65, floor=0.5), TWINS)
    pd.testing.assert_frame_equal(table, again, check_exact=True)


def test_order_of_the_score_rows_does_not_matter(table):
    scores, keys = tables(Planted())
    shuffled = scores.sample(frac=1.0, random_state=0)
    linear = linear_rows(linear_table(), 0.95)
    first, second = (
        structure_rows(analyse(rows, keys), {}, linear, UNIT, STATISTICS, "x")
        for rows in (scores, shuffled)
    )
    pd.testing.assert_frame_equal(first, second)


def test_surrogates_are_found_on_the_same_split():
    one = analyse(*tables(Planted()))
    known = {("a", 0): one, ("a--shuffled", 0): one, ("a--var", 1): one, ("ab--var", 0): one}
    assert set(surrogates_of(("a", 0), known)) == {"shuffled"}


@pytest.mark.parametrize(
    ("name", "dims"), [("all", 32), ("pc_1_8", 8), ("pc_9_32", 24), ("pc_33_64", 32)]
)
def test_dimensions_of_a_subspace(name: str, dims: int):
    assert subspace_dims(name, 32) == dims


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
    assert len(rows) == 2 * 2 * 2 * 5  # keys, lags, parts, speakers
    assert set(rows["part"]) == {"val", "eval"}
    assert rows.loc[rows["key"] == KEY, "ratio"].between(0.4, 0.8).all()
