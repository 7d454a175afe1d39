"""Tables of the prediction section: gains, robust scores, worst frames, the simple rollout."""

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.prediction.columns import PREDICTION, PREDICTION_ROLLOUT, WORST_FRAMES
from engram_audio.report.data import SURROGATE_MARK, ReportData
from engram_audio.report.prediction_rows import cells_of, predicted, registered_lag, table_of
from engram_audio.report.table_view import Column, TableView, make_table, shown
from engram_audio.verdicts import number

NUM_WORST = 8  # frames shown at first

WHERE = ("representation", "target", "lag_frames", "model")
CELL = (
    *shown(PREDICTION, "slice", "part"),
    *shown(PREDICTION, "num_speakers", "num_frames", form=number.count),
    *shown(PREDICTION, "seed"),
)
GAIN_COLUMNS = (
    *shown(PREDICTION, *WHERE),
    *shown(PREDICTION, "gain_nats", form=number.fixed),
    *shown(PREDICTION, "best_null"),
    Column("strictest_gain", "Strictest gain", "nats/frame", "The same over the null that is best "
           "on these very frames; no interval.", form=number.fixed),
    *shown(
        PREDICTION, "gain_bits_per_s", "information_nats", "dnll_first_experiment",
        "dnll_mean_reversion", "dnll_shape", "dnll_context_null", "cosine_mean",
        "cosine_mean_null", "cosine_sample", "cosine_sample_null", "log_magnitude_r2_sample",
        "log_magnitude_r2_sample_null", "energy_score", "energy_score_null",
        "info_nce_bits_utterance", "info_nce_bits_speaker", "coverage_90_per_dimension",
        "below_range_per_dimension", "above_range_per_dimension",
        form=number.fixed,
    ),
    *CELL,
)  # fmt: skip
OF_BRIEF = ("dnll_first_experiment", "dnll_mean_reversion", "dnll_shape", "dnll_context_null")
WORST_COLUMNS = (
    *shown(WORST_FRAMES, *WHERE, "utterance_id"),
    *shown(WORST_FRAMES, "frame", form=number.count),
    Column("time_s", "Time", "s", "t over the frame rate.", form=number.fixed),
    *shown(WORST_FRAMES, "nll", "delta_norm", form=number.fixed),
    *shown(WORST_FRAMES, "slices", "part"),
)
ROLLOUT_COLUMNS = (
    *shown(PREDICTION_ROLLOUT, *WHERE, "horizon_frames"),
    *shown(PREDICTION_ROLLOUT, "dnll_median", "dnll_mean", "step_ratio", "state_rms",
           form=number.fixed),
    *shown(PREDICTION_ROLLOUT, "num_alive", "num_paths", form=number.count),
)  # fmt: skip

DECIDING = (
    *WHERE,
    "gain_nats",
    "best_null",
    "gain_bits_per_s",
    "information_nats",
    "slice",
    "part",
)


def robust_columns(table: pd.DataFrame) -> list[Column]:
    """Return the columns of the robust table, with the quantiles that the study asked for."""
    quantiles = PREDICTION["nll_q<number>"]
    return [
        *shown(PREDICTION, *WHERE),
        *shown(PREDICTION, "nll_mean", "nll_trimmed", "nll_median", "gain_median_nats",
               form=number.fixed),
        *(Column(name, f"{int(name.removeprefix('nll_q'))} %", quantiles.unit, quantiles.meaning,
                 form=number.fixed)
          for name in quantiles.names(table.columns)),
        *shown(PREDICTION, "num_stored", "num_not_finite", form=number.count),
        *CELL,
    ]  # fmt: skip


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
    is_base = ~table["representation"].str.contains(SURROGATE_MARK)
    return is_base & (table["seed"] == smallest) & (table["slice"] == "all")


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
        [column for column in GAIN_COLUMNS if data.is_of_brief or column.name not in OF_BRIEF],
        maximum_rows=data.settings.maximum_table_rows // 2,
        source="tables/prediction.csv",
        first=_is_first(data, table),
        deciding=DECIDING,
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
        robust_columns(table),
        maximum_rows=data.settings.maximum_table_rows // 2,
        source="tables/prediction.csv",
        first=first,
        more="All lags and surrogates",
    )


def worst_rows(data: ReportData) -> pd.DataFrame:
    """Return the worst eval frames of base representations with their time, worst first."""
    table = data.table("worst_frames")
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
    table = data.table("prediction_rollout")
    if table.empty:
        return None
    last = int(table["horizon_frames"].to_numpy().max())
    steps = sorted({1, max(last // 4, 1), last})
    bases = table.loc[~table["representation"].str.contains(SURROGATE_MARK)]
    rows = _ordered(data, bases)
    return make_table(
        "prediction-rollout",
        "The first experiment's mean rollout, kept for comparison",
        rows,
        ROLLOUT_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4,
        source="tables/prediction_rollout.csv",
        first=pd.Series(rows["horizon_frames"].isin(steps) & (rows["target"] == "delta")),
        more="Every step",
    )
