"""Exported z_dyn beside the latents it came from: the same metrics, each beside its nulls.

Whiter is not better: a z_dyn with less autocorrelation scores a larger cosine of delta than its
source, exactly as white noise does, so the autocorrelation stands first.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.factorizer.columns import FACTORIZER_STATES


def comparison_table(
    pairs: Mapping[str, str],
    summaries: Mapping[str, dict[str, Any]],
    structure: pd.DataFrame,
    linear: pd.DataFrame,
    prediction: pd.DataFrame | None,
) -> pd.DataFrame:
    """Return one row per exported z_dyn, metric, key and lag, with the source's beside it.

    Args:
        pairs: Source of each exported z_dyn.
        summaries: Latent summaries by representation.
        structure: Published `structure.csv`.
        linear: Published `linear.csv`.
        prediction: Published `prediction.csv`, or None where no z_dyn is predicted.
    """
    rows: list[dict[str, Any]] = []
    for state, source in pairs.items():
        own = {name: measured(name, summaries, structure, linear, prediction)
               for name in (state, source)}  # fmt: skip
        for place, found in own[state].items():
            metric, key, lag = place
            other = own[source].get(place, {})
            rows.append(
                {
                    "representation": state,
                    "source": source,
                    "metric": metric,
                    "key": key,
                    "lag_frames": lag,
                    **found,
                    "source_value": other.get("value", np.nan),
                    "source_value_low": other.get("value_low", np.nan),
                    "source_value_high": other.get("value_high", np.nan),
                    "source_null": other.get("null", np.nan),
                }
            )
    if not rows:
        return FACTORIZER_STATES.empty()
    return FACTORIZER_STATES.arrange(pd.DataFrame(rows))


Place = tuple[str, str, int]


def measured(
    name: str,
    summaries: Mapping[str, dict[str, Any]],
    structure: pd.DataFrame,
    linear: pd.DataFrame,
    prediction: pd.DataFrame | None,
) -> dict[Place, dict[str, Any]]:
    """Return every metric of one representation by (metric, key, lag)."""
    found = _of_summary(summaries[name])
    found |= _of_structure(_of(structure, name))
    found |= _of_linear(_of(linear, name))
    if prediction is not None:
        found |= _of_prediction(_of(prediction, name))
    return found


def _of(table: pd.DataFrame, name: str) -> pd.DataFrame:
    rows = table.loc[(table["representation"] == name) & (table["part"] == "eval")]
    rows = rows.loc[rows["slice"] == "all"]
    return (
        rows.loc[rows["split_seed"] == rows["split_seed"].min()] if "split_seed" in rows else rows
    )


def _number(value: object, null: object = np.nan, null_name: str = "") -> dict[str, Any]:
    return {"value": value, "value_low": np.nan, "value_high": np.nan, "null": null,
            "null_name": null_name}  # fmt: skip


def _interval(row: Any, name: str, null: object, null_name: str) -> dict[str, Any]:
    low, high = getattr(row, f"{name}_low"), getattr(row, f"{name}_high")
    return {"value": getattr(row, name), "value_low": low, "value_high": high, "null": null,
            "null_name": null_name}  # fmt: skip


def _of_summary(summary: Mapping[str, Any]) -> dict[Place, dict[str, Any]]:
    return {
        ("lag-one autocorrelation, median", "", 1): _number(
            summary["lag_one"]["median"], 0.0, "white noise"
        ),
        ("lag-one autocorrelation within utterances, median", "", 1): _number(
            summary["lag_one_within_utterance"]["median"], 0.0, "white noise"
        ),
        ("effective rank", "", 0): _number(
            summary["effective_rank"], float(summary["metadata"]["num_dims"]), "dimensions"
        ),
    }


def _of_structure(rows: pd.DataFrame) -> dict[Place, dict[str, Any]]:
    chosen = rows.loc[(rows["subspace"] == "all") & (rows["status"] == "ok")]
    found = {}
    for row in chosen.itertuples():
        place = "added fraction", str(row.key), int(row.lag_frames)  # type: ignore[arg-type]
        found[place] = _interval(row, "added_fraction", 0.0, "any linear process")
    return found


def _of_linear(rows: pd.DataFrame) -> dict[Place, dict[str, Any]]:
    white = rows.loc[rows["model"] == "white_noise"].set_index("lag_frames")
    found = {}
    for row in rows.loc[rows["model"] == "ridge"].itertuples():
        lag = int(row.lag_frames)  # type: ignore[arg-type]
        for metric, label in (("r2", "ridge R^2 of delta"), ("cosine", "ridge cosine of delta")):
            null = white[metric].get(lag, np.nan)
            found[label, "", lag] = _interval(row, metric, null, "white noise")
    return found


def _of_prediction(rows: pd.DataFrame) -> dict[Place, dict[str, Any]]:
    """Gain and cosine of every head of the smallest seed."""
    heads = rows.loc[(rows["kind"] == "head") & (rows["target"] == "position")]
    heads = heads.loc[heads["seed"] == heads["seed"].min()] if len(heads) else heads
    found = {}
    for row in heads.itertuples():
        key, lag = str(row.model), int(row.lag_frames)  # type: ignore[arg-type]
        found["gain over the best null, bits/s", key, lag] = _interval(
            row, "gain_bits_per_s", 0.0, str(row.best_null)
        )
        found["cosine of the conditional mean", key, lag] = _number(
            row.cosine_mean, row.cosine_mean_null, str(row.best_null)
        )
    return found
