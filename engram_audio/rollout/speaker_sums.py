"""Scores of starts, summed by speaker; what is not finite counts against the method.

Shapes: N starts, K horizons.
"""

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from engram_audio.rollout.paths import Starts

# Where the truth lies is not known: it counts as outside at either end.
MISSED = ("below_range", "above_range")


def by_speaker(
    columns: dict[str, Tensor],
    starts: Starts,
    horizons: tuple[int, ...],
    mode: str,
    inject: int,
) -> pd.DataFrame:
    """Sum columns [N, K] over the starts of each speaker that have a true frame there.

    A score that is not finite counts as the worst finite one of its horizon, and no better than
    knowing nothing. Left out, a method would gain by failing where it is worst.
    """
    names, code = np.unique(starts.speaker_ids, return_inverse=True)
    is_true = starts.is_true()[:, torch.tensor(horizons) - 1].cpu().numpy()
    found = {name: values.double().cpu().numpy() for name, values in columns.items()}
    sums = {"num_starts": _summed(is_true.astype(float), code, len(names))}
    for name, values in found.items():
        filled = worst_for_not_finite(name, values, is_true, found)
        sums[name] = _summed(np.where(is_true, filled, 0.0), code, len(names))
    return pd.DataFrame({
        "mode": mode,
        "inject_frames": inject,
        "speaker_id": np.repeat(names, len(horizons)),
        "horizon_frames": np.tile(horizons, len(names)),
        **sums,
    })  # fmt: skip


def _summed(values: np.ndarray, code: np.ndarray, count: int) -> np.ndarray:
    total = np.zeros((count, values.shape[1]))
    np.add.at(total, code, values)
    return total.ravel()


def worst_for_not_finite(
    name: str, values: np.ndarray, is_true: np.ndarray, columns: dict[str, np.ndarray]
) -> np.ndarray:
    """Return scores with the worst finite one of the horizon for those that are not, [N, K].

    All scores are losses. One that knows nothing scores 0 in dNLL, and climatology's energy. NaN
    where a horizon has no finite score at all.
    """
    is_finite = np.isfinite(values)
    if is_finite[is_true].all():
        return values
    if name in MISSED:
        return np.where(is_finite, values, 0.5)
    floor = columns["energy_climate"] if name == "energy_score" else np.zeros_like(values)
    counted = np.where(is_finite & is_true, values, -np.inf)
    worst = counted.max(0)
    worst = np.where(np.isfinite(worst), worst, np.nan)
    return np.where(is_finite, values, np.maximum(worst, floor))


def extremes(dnll: Tensor, starts: Starts, horizons: tuple[int, ...]) -> pd.DataFrame:
    """Return median and largest finite score of every horizon over starts.

    Beside them stands how many starts have a score that is not finite, here or at an earlier
    horizon.
    """
    is_true = starts.is_true()[:, torch.tensor(horizons) - 1].cpu().numpy()
    values = dnll.double().cpu().numpy()
    has_failed = np.logical_or.accumulate(is_true & ~np.isfinite(values), axis=1)
    rows = []
    for number, horizon in enumerate(horizons):
        own = values[is_true[:, number], number]
        finite = own[np.isfinite(own)]
        rows.append({
            "horizon_frames": horizon,
            "dnll_median": np.median(finite) if len(finite) else np.nan,
            "dnll_highest": finite.max() if len(finite) else np.nan,
            "num_not_finite": has_failed[:, number].sum(),
        })  # fmt: skip
    return pd.DataFrame(rows)
