"""Rows of the prediction tables that the page shows: which head, which cell, which reference."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.report import number
from engram_audio.report.data import SURROGATE_MARK, ReportData, choose, first_row

TARGETS = {"position": "xₜ", "delta": "xₜ \N{MINUS SIGN} xₜ₋₁"}
FIRST_EXPERIMENT = "first_experiment"  # name of the preset that repeats its recipe
LN2 = float(np.log(2))


class Cells(NamedTuple):
    """The eval rows (slice all, first training seed) of one representation.

    Attributes:
        representation: Name.
        seed: Training seed.
        rows: One row per lag, target and model.
        val: The same cells on val: heads are chosen there.
    """

    representation: str
    seed: int
    rows: pd.DataFrame
    val: pd.DataFrame

    def lags(self, target: str | None = None) -> list[int]:
        """Return the lags of a target, or of any."""
        rows = self.rows if target is None else choose(self.rows, target=target)
        return sorted(int(lag) for lag in rows["lag_frames"].unique())

    def targets(self) -> list[str]:
        """Return the targets that were scored, x_t first."""
        return [name for name in TARGETS if name in set(self.rows["target"])]

    def heads(self) -> list[str]:
        """Return the heads by name."""
        return sorted(choose(self.rows, kind="head")["model"].unique())

    def row(self, model: str | None, lag: int, target: str) -> dict[str, object]:
        """Return one row; its values are missing where the model was not scored."""
        return first_row(choose(self.rows, model=model, lag_frames=lag, target=target))

    def chosen_head(self, lag: int, target: str) -> str | None:
        """Return the head with the lowest mean NLL on val, ties by name; None where none is."""
        rows = choose(self.val, kind="head", lag_frames=lag, target=target)
        rows = rows.loc[np.isfinite(rows["nll_mean"].to_numpy(float))]
        if rows.empty:
            return None
        return str(rows.sort_values(["nll_mean", "model"], kind="stable")["model"].iloc[0])

    def strictest_gain(self, head: str, lag: int, target: str) -> tuple[float, str]:
        """Return the smallest eval gain of a head over any null, and that null.

        The null of `gain_nats` was chosen on val; on eval another may score better.
        """
        rows = choose(self.rows, lag_frames=lag, target=target)
        nulls = rows.loc[rows["kind"] == "null"].dropna(subset=["gain_nats"])
        own = number.as_float(self.row(head, lag, target)["gain_nats"])
        if nulls.empty:
            return own, ""
        best = nulls.sort_values(["gain_nats", "model"], ascending=[False, True]).iloc[0]
        return own - float(best["gain_nats"]), str(best["model"])


def table_of(data: ReportData) -> pd.DataFrame:
    """Return the prediction table; empty where the study has none."""
    return data.table("prediction")


def predicted(data: ReportData) -> list[str]:
    """Return the base representations scored on all eval frames, the deciding one first."""
    table = choose(table_of(data), part="eval", slice="all")
    names = {str(name) for name in table["representation"]}
    bases = sorted(name for name in names if SURROGATE_MARK not in name)
    chosen = data.registered["representation"]
    return sorted(bases, key=lambda name: (name != chosen, name))


def cells_of(data: ReportData, representation: str) -> Cells:
    """Return the cells of a representation; its smallest training seed."""
    rows = choose(table_of(data), representation=representation, slice="all")
    seed = int(rows["seed"].to_numpy().min()) if len(rows) else 0
    rows = choose(rows, seed=seed)
    return Cells(representation, seed, choose(rows, part="eval"), choose(rows, part="val"))


def surrogate_cells(data: ReportData, representation: str) -> dict[str, Cells]:
    """Return the cells of each surrogate of a representation, by its kind."""
    table = table_of(data)
    names = sorted({str(name) for name in table["representation"]})
    marked = [name for name in names if name.startswith(f"{representation}{SURROGATE_MARK}")]
    return {name.partition(SURROGATE_MARK)[2]: cells_of(data, name) for name in marked}


def largest_surrogate_gain(surrogates: dict[str, Cells], lag: int, target: str) -> float:
    """Return the largest gain that any head reaches on any surrogate; NaN where none is scored."""
    rows = [choose(c.rows, kind="head", lag_frames=lag, target=target) for c in surrogates.values()]
    gains = np.concatenate([np.empty(0), *(row["gain_nats"].to_numpy(float) for row in rows)])
    gains = gains[np.isfinite(gains)]
    return float(gains.max()) if len(gains) else float("nan")


def num_dims(data: ReportData, representation: str) -> int | None:
    """Return D of a representation, or None where no summary says it."""
    metadata = data.summaries.get(representation, {}).get("metadata", {})
    value = number.as_float(metadata.get("num_dims"))
    return int(value) if np.isfinite(value) else None


def white_noise_reversion(dims: int, lag: int) -> float:
    """Return the nats of delta that the context of white noise knows (SCIENCE 0.1)."""
    return 0.5 * dims * LN2 if lag == 1 else 0.0


def registered_lag(data: ReportData, cells: Cells) -> int:
    """Return the decision's lag where it was predicted, else the first lag."""
    lags = cells.lags()
    wanted = int(data.registered["lag_frames"])
    return wanted if wanted in lags else lags[0]


def speakers_words(rows: pd.DataFrame) -> str:
    """Return how many speakers and frames stand behind rows."""
    if rows.empty:
        return "none"
    speakers = number.count(rows["num_speakers"].max())
    return f"{speakers} eval speakers, {number.count(rows['num_frames'].max())} frames"
