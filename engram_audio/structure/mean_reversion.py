"""Rows that inform and never decide: mean reversion at lag 1, and the spread over splits.

At lag 1 the context holds x_{t-1}, which delta_t contains with a minus sign: even white noise is
half predictable there (SCIENCE 0.1). These rows stand beside every verdict so that nobody mistakes
that for structure.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.stats.estimate import Uncertain, t_interval
from engram_audio.structure.gate_row import GateRow, Measured
from engram_audio.structure.gates import Place, measure, missing_reason
from engram_audio.structure.wording import interval_words, number_words, percent_words


def mean_reversion_rows(place: Place, linear: pd.DataFrame, confidence: float) -> list[GateRow]:
    """Return the key's and a ridge regression's score at lag 1, each beside its null.

    Args:
        place: The key at lag 1 on slice `all`; rows are left out where lag 1 was not analysed.
        linear: `tables/linear.csv`.
        confidence: Level of the intervals.
    """
    rows = []
    if not missing_reason(place):
        rows.append(_key_row(place, confidence))
    models = linear[
        (linear["representation"] == place.representation)
        & (linear["split_seed"] == place.split_seed)
        & (linear["lag_frames"] == 1)
        & (linear["slice"] == "all")
        & (linear["part"] == "eval")
    ]
    by_model = models.set_index("model").to_dict("index")
    if "ridge" in by_model:
        rows.append(_ridge_row(place, by_model, confidence))
    return rows


def _key_row(place: Place, confidence: float) -> GateRow:
    measured = measure(place.eval, "explained_fraction", confidence)
    shuffled = float(place.eval.get("explained_fraction_shuffled", math.nan))
    null = (
        f"the same frames shuffled in time give {percent_words(shuffled)}, so that much is mean "
        "reversion and not structure"
        if math.isfinite(shuffled)
        else "no shuffled surrogate was scored beside it, so mean reversion cannot be told apart"
    )
    words = (
        f"at lag 1 {place.key} explains {percent_words(measured.value)} "
        f"{interval_words(measured.low, measured.high)} of what its cells could; {null}."
    )
    return _information(place, "mean_reversion", "mean_reversion_key", measured, shuffled, words)


def _ridge_row(place: Place, models: Mapping[Any, Mapping[str, Any]], confidence: float) -> GateRow:
    ridge = models["ridge"]
    degrees = float(ridge["num_speakers"]) - 1
    quantity = Uncertain(*map(np.asarray, (ridge["r2"], ridge["r2_se"], degrees)))
    low, high = t_interval(quantity, confidence)
    measured = Measured(float(ridge["r2"]), float(low), float(high))
    nulls = [
        f"{label} would give {number_words(float(models[model]['r2']))}"
        for model, label in (("white_noise", "white noise"), ("ar1", "a diagonal AR(1)"))
        if model in models
    ]
    white = float(models["white_noise"]["r2"]) if "white_noise" in models else math.nan
    words = (
        f"at lag 1 a ridge regression on the context reaches R^2 {number_words(measured.value)} "
        f"{interval_words(measured.low, measured.high, number_words)} of delta; "
        f"{' and '.join(nulls) or 'no null was scored'}, by mean reversion alone."
    )
    return _information(place, "mean_reversion", "mean_reversion_ridge_r2", measured, white, words)


def spread_rows(places: Sequence[Place], confidence: float) -> list[GateRow]:
    """Return the explained fraction of one key on each split; none where there is one split."""
    if len(places) < 2:
        return []
    rows = []
    for place in places:
        reason = missing_reason(place)
        measured = Measured(math.nan, math.nan, math.nan)
        if not reason:
            measured = measure(place.eval, "explained_fraction", confidence)
        words = (
            f"split {place.split_seed}: {place.key} explains {percent_words(measured.value)} "
            f"{interval_words(measured.low, measured.high)} at lag {place.lag}"
        )
        words = f"{words} ({reason})." if reason else f"{words}."
        quantity = "explained_fraction"
        rows.append(_information(place, "spread", quantity, measured, math.nan, words))
    return rows


def _information(
    place: Place, name: str, quantity: str, measured: Measured, null: float, words: str
) -> GateRow:
    return GateRow(
        name=name,
        representation=place.representation,
        split_seed=place.split_seed,
        key=place.key,
        lag=place.lag,
        slice=place.slice,
        quantity=quantity,
        measured=measured,
        threshold=null if math.isfinite(null) else None,
        direction="above" if math.isfinite(null) else None,
        outcome=None,
        reason="",
        sentence=words[:1].upper() + words[1:],
    )
