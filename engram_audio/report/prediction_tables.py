"""Tables of the prediction section: gains, robust scores, worst frames, the simple rollout."""

import numpy as np
import pandas as pd

from engram_audio.report import number
from engram_audio.report.data import SURROGATE_MARK, ReportData, choose
from engram_audio.report.prediction_rows import cells_of, predicted, registered_lag, table_of
from engram_audio.report.table_view import (
    Column,
    TableView,
    make_table,
    plain_number,
    with_ends,
)

NUM_WORST = 8  # frames shown at first

WHERE = (
    Column("representation", "Representation", is_text=True),
    Column("target", "Target", is_text=True, help="delta: x_t - x_{t-1}; position: x_t. They are "
           "one event at lag 1."),
    Column("lag_frames", "Lag", "frames", "How stale the context is."),
    Column("model", "Model", is_text=True, help="A head, or a null."),
)  # fmt: skip
CELL = (
    Column("slice", "Slice", is_text=True),
    Column("part", "Part", is_text=True, help="eval: speakers never seen."),
    Column("num_speakers", "Speakers", "", "The n of the intervals.", form=number.count),
    Column("num_frames", "Frames", "", "Scored frames.", form=number.count),
    Column("seed", "Seed", "", "Of the training."),
)  # fmt: skip


GAIN_COLUMNS = (
    *WHERE,
    with_ends("gain_nats", "Gain over the best null", "nats/frame", "What context buys: NLL(null) "
              "minus NLL(head), paired; 0 on white noise."),
    Column("best_null", "Best null", is_text=True, help="Chosen on val among all nulls."),
    plain_number("strictest_gain", "Strictest gain", "nats/frame", "The same over the null that is "
                 "best on these very frames; no interval."),
    with_ends("gain_bits_per_s", "Gain", "bits/s", "Nats times frame rate over ln 2."),
    with_ends("information_nats", "Over the marginal", "nats/frame", "Over the best law without "
              "context: for delta at lag 1 this contains mean reversion."),
    with_ends("dnll_first_experiment", "First dNLL", "nats/frame", "As the first experiment scored "
              "it: over one diagonal Gaussian of delta. Negative is better."),
    with_ends("dnll_mean_reversion", "of it mean reversion", "nats/frame", "Gaussian marginal of "
              "x_t instead of delta."),
    with_ends("dnll_shape", "of it shape", "nats/frame", "Best law without context instead of one "
              "Gaussian."),
    with_ends("dnll_context_null", "of it linear", "nats/frame", "What the best null takes of the "
              "context."),
    with_ends("cosine_mean", "Cosine of the mean", "", "Mean cosine of prediction and truth."),
    plain_number("cosine_mean_null", "its null", "", "Of the best null."),
    with_ends("cosine_sample", "Cosine of samples", "", "Mean over samples."),
    plain_number("cosine_sample_null", "its null", "", "Of the best null."),
    plain_number("log_magnitude_r2_sample", "R² of log length", "", "Of the expected log length."),
    plain_number("log_magnitude_r2_sample_null", "its null", "", "Of the best null."),
    with_ends("energy_score", "Energy score", "latent units", "Strictly proper; lower is better."),
    plain_number("energy_score_null", "its null", "", "Of the best null."),
    with_ends("info_nce_bits_utterance", "InfoNCE", "bits", "True future against frames of the "
              "same utterance; null 0."),
    with_ends("info_nce_bits_speaker", "InfoNCE, speaker", "bits", "Against frames of the same "
              "speaker; null 0."),
    with_ends("coverage_90_per_dimension", "Coverage at 90 %", "", "Share of truths inside each "
              "dimension's central 90 %."),
    *CELL,
)  # fmt: skip

ROBUST_COLUMNS = (
    *WHERE,
    with_ends("nll_mean", "Mean NLL", "nats/frame", "Never read alone: one frame can make it."),
    plain_number("nll_trimmed", "Trimmed mean", "nats/frame", "A share cut from each end."),
    plain_number("nll_median", "Median", "nats/frame", "Of the stored frames."),
    plain_number("gain_median_nats", "Median gain", "nats/frame", "Median over frames, null less "
                 "model."),
    *(plain_number(f"nll_q{q:02d}", f"{q} %", "nats/frame", "Quantile of the score.")
      for q in (5, 25, 75, 95, 99)),
    Column("num_stored", "Stored", "frames", "Behind the quantiles.", form=number.count),
    Column("num_not_finite", "Not finite", "frames", "Left out of median and quantiles.",
           form=number.count),
    *CELL,
)  # fmt: skip

WORST_COLUMNS = (
    *WHERE,
    Column("utterance_id", "Utterance", is_text=True),
    Column("frame", "t", "frames", "Frame within the utterance.", form=number.count),
    plain_number("time_s", "Time", "s", "t over the frame rate."),
    plain_number("nll", "NLL", "nats", "Of this frame."),
    plain_number("delta_norm", "Length of the step", "latent units", "|x_t - x_{t-1}|."),
    Column("slices", "Slices", is_text=True, help="Slices that hold the frame."),
    Column("part", "Part", is_text=True),
)  # fmt: skip

ROLLOUT_COLUMNS = (
    *WHERE,
    Column("horizon_frames", "Horizon", "frames", "Steps rolled out by the mean."),
    plain_number("dnll_median", "dNLL, median", "nats/frame", "Over paths still alive."),
    plain_number("dnll_mean", "dNLL, mean", "nats/frame", "As first aggregated."),
    plain_number("step_ratio", "Step length", "of the true", "Towards 0: it stopped moving."),
    plain_number("state_rms", "Spread", "SD", "1 is as spread as the data."),
    Column("num_alive", "Alive", "paths", "Not yet diverged.", form=number.count),
    Column("num_paths", "Paths", "", "Started.", form=number.count),
)  # fmt: skip


def _ordered(data: ReportData, table: pd.DataFrame) -> pd.DataFrame:
    """Order rows: bases first, deciding one first, x_t before delta, then lag and model."""
    order = pd.DataFrame(
        {
            "surrogate": table["representation"].str.contains(SURROGATE_MARK),
            "other": table["representation"] != data.registered["representation"],
            "name": table["representation"],
            "target": table["target"] != "position",
            "lag": table["lag_frames"],
            "model": table["model"],
        },
        index=table.index,
    )
    return table.loc[order.sort_values(list(order.columns), kind="stable").index]


def _is_first(data: ReportData, table: pd.DataFrame) -> pd.Series:
    """Rows shown at first: base representations, slice all, the smallest seed of each."""
    smallest = table.groupby("representation")["seed"].transform("min")
    shown = ~table["representation"].str.contains(SURROGATE_MARK) & (table["seed"] == smallest)
    return shown & (table["slice"] == "all") if "slice" in table else shown


def with_strictest(rows: pd.DataFrame) -> pd.DataFrame:
    """Add the gain over the null that is best on the scored frames themselves."""
    keys = ["representation", "seed", "target", "lag_frames", "slice", "part"]
    nulls = rows.loc[rows["kind"] == "null"].groupby(keys)["gain_nats"].max()
    best = nulls.rename("best_null_gain").reset_index()
    joined = rows.merge(best, on=keys, how="left", validate="many_to_one")
    return joined.assign(strictest_gain=joined["gain_nats"] - joined["best_null_gain"])


def gain_table(data: ReportData) -> TableView:
    """Return the heads on eval: gains, dNLL and its parts, direction, magnitude, calibration."""
    rows = with_strictest(choose(table_of(data), part="eval"))
    table = _ordered(data, choose(rows, kind="head"))
    return make_table(
        "prediction-gains",
        "What each head gains over the best null, eval speakers",
        table,
        GAIN_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 2,
        source="tables/prediction.csv",
        first=_is_first(data, table),
        more="All slices, seeds and surrogates",
    )


def robust_table(data: ReportData) -> TableView:
    """Return mean, median, trimmed mean and quantiles of heads and nulls on eval."""
    table = _ordered(data, choose(table_of(data), part="eval", slice="all"))
    first = _is_first(data, table)
    lags = {name: registered_lag(data, cells_of(data, name)) for name in predicted(data)}
    wanted = [lags.get(str(name)) for name in table["representation"]]
    first &= table["lag_frames"].to_numpy() == np.array(wanted, dtype=float)
    return make_table(
        "prediction-robust",
        "The same score, robustly: heads and nulls, eval speakers, all frames",
        table,
        ROBUST_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 2,
        source="tables/prediction.csv",
        first=first,
        more="All lags and surrogates",
    )


def worst_rows(data: ReportData) -> pd.DataFrame:
    """Return the worst eval frames of base representations with their time, worst first."""
    table = data.tables.get("worst_frames")
    if table is None or table.empty:
        return pd.DataFrame()
    rows = choose(table, part="eval", representation=predicted(data))
    rates = {
        name: number.as_float(summary.get("metadata", {}).get("frame_rate_hz"))
        for name, summary in data.summaries.items()
    }
    rate = np.array([rates.get(str(name), np.nan) for name in rows["representation"]])
    rows = rows.assign(time_s=rows["frame"].to_numpy(float) / rate)
    return rows.sort_values("nll", ascending=False, kind="stable")


def worst_table(data: ReportData) -> TableView | None:
    """Return the worst frames, those of the chosen head at the registered lag at first."""
    rows = worst_rows(data)
    if rows.empty:
        return None
    first = pd.Series(False, index=rows.index)
    for name in predicted(data):
        cells = cells_of(data, name)
        lag, target = registered_lag(data, cells), cells.targets()[0]
        wanted = choose(
            rows, representation=name, seed=cells.seed, lag_frames=lag, target=target,
            model=cells.chosen_head(lag, target),
        )  # fmt: skip
        first.loc[wanted.index[:NUM_WORST]] = True
    return make_table(
        "worst-frames",
        "Frames with the largest score, eval speakers",
        rows,
        WORST_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4,
        source="tables/worst_frames.csv",
        first=first,
        more="All heads, nulls and lags",
    )


def rollout_table(data: ReportData) -> TableView | None:
    """Return the first experiment's mean rollout at its first, middle and last steps."""
    table = data.tables.get("prediction_rollout")
    if table is None or table.empty:
        return None
    table = table.rename(columns={"event": "target"})
    last = int(table["horizon_frames"].to_numpy().max())
    shown = sorted({1, max(last // 4, 1), last})
    rows = _ordered(data, table.loc[~table["representation"].str.contains(SURROGATE_MARK)])
    return make_table(
        "prediction-rollout",
        "The first experiment's mean rollout, kept for comparison",
        rows,
        ROLLOUT_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4,
        source="tables/prediction_rollout.csv",
        first=pd.Series(rows["horizon_frames"].isin(shown) & (rows["target"] == "delta")),
        more="Every step",
    )
