"""Rows of the prediction tables that the page shows."""

import numpy as np
import pandas as pd

from engram_audio.numerics.units import LN2
from engram_audio.prediction import cells
from engram_audio.prediction.cells import Cells
from engram_audio.report.data import ReportData
from engram_audio.verdicts import number

FIRST_EXPERIMENT = "first_experiment"  # name of the preset that repeats its recipe


def table_of(data: ReportData) -> pd.DataFrame:
    """Return the prediction table; empty where the study has none."""
    return data.table("prediction")


def predicted(data: ReportData) -> list[str]:
    """Return the base representations scored on all eval frames, the deciding one first."""
    return cells.predicted(table_of(data), str(data.registered["representation"]))


def cells_of(data: ReportData, representation: str) -> Cells:
    """Return the cells of a representation; its smallest training seed."""
    return cells.cells_of(table_of(data), representation)


def surrogate_cells(data: ReportData, representation: str) -> dict[str, Cells]:
    """Return the cells of each surrogate of a representation, by its kind."""
    return cells.surrogate_cells(table_of(data), representation)


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
