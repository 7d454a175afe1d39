"""Rows that inform and never decide: mean reversion at lag 1.

At lag 1 the context holds x_{t-1}, which delta_t contains with a minus sign: even white noise is
half predictable there (SCIENCE 0.1). The row stands beside every verdict so that nobody mistakes
that for structure.
"""

import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from engram_audio.structure.gate_row import GateRow
from engram_audio.structure.gates import Place, measure
from engram_audio.structure.wording import interval_words, number_words


def mean_reversion_rows(place: Place, linear: pd.DataFrame, confidence: float) -> list[GateRow]:
    """Return a ridge regression's score at lag 1 beside its nulls; none where lag 1 was left out.

    Args:
        place: The chosen key at lag 1 on slice `all`.
        linear: `tables/linear.csv`.
        confidence: Level of the interval.
    """
    models = linear[
        (linear["representation"] == place.representation)
        & (linear["split_seed"] == place.split_seed)
        & (linear["lag_frames"] == 1)
        & (linear["slice"] == "all")
        & (linear["part"] == "eval")
    ]
    by_model = models.set_index("model").to_dict("index")
    return [_ridge_row(place, by_model, confidence)] if "ridge" in by_model else []


def _ridge_row(place: Place, models: Mapping[Any, Mapping[str, Any]], confidence: float) -> GateRow:
    measured = measure(models["ridge"], "r2", confidence)
    nulls = [
        f"{label} would give {number_words(float(models[model]['r2']))}"
        for model, label in (("white_noise", "white noise"), ("ar1", "a diagonal AR(1)"))
        if model in models
    ]
    white = float(models["white_noise"]["r2"]) if "white_noise" in models else math.nan
    words = (
        f"At lag 1 a ridge regression on the context reaches R^2 {number_words(measured.value)} "
        f"{interval_words(measured.low, measured.high, number_words)} of delta. "
        f"{' and '.join(nulls) or 'No null was scored'}, by mean reversion alone."
    )
    has_null = math.isfinite(white)
    return GateRow(
        name="mean_reversion",
        representation=place.representation,
        split_seed=place.split_seed,
        key=place.key,
        lag=place.lag,
        slice=place.slice,
        quantity="mean_reversion_ridge_r2",
        measured=measured,
        threshold=white if has_null else None,
        direction="above" if has_null else None,
        outcome=None,
        reason="",
        sentence=words,
    )
