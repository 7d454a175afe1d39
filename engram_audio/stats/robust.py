"""Summaries that a few wild frames cannot move; a heavy-tailed mean is never printed alone."""

from typing import NamedTuple

import numpy as np


class RobustSummary(NamedTuple):
    """Location and spread of a sample along one axis.

    Attributes:
        mean: Arithmetic mean.
        median: 50 % quantile.
        trimmed_mean: Mean without the `trim` share at either end.
        quantiles: Requested quantiles, shape [Q, ...].
        num_values: Values that went in (finite ones).
        num_left_out: NaN or infinite values, counted and left out.
    """

    mean: np.ndarray
    median: np.ndarray
    trimmed_mean: np.ndarray
    quantiles: np.ndarray
    num_values: int
    num_left_out: int


def trimmed_mean(values: np.ndarray, trim: float) -> np.ndarray:
    """Return the mean over axis 0 without the floor(trim * n) smallest and largest values.

    Raises:
        ValueError: `trim` is not in [0, 0.5).
    """
    if not 0 <= trim < 0.5:
        raise ValueError("trim must be at least 0 and below 0.5")
    cut = int(trim * len(values))
    ordered = np.sort(values, axis=0)
    return ordered[cut : len(values) - cut].mean(axis=0)


def robust_summary(
    values: np.ndarray, trim: float, quantiles: tuple[float, ...] = (0.05, 0.25, 0.75, 0.95)
) -> RobustSummary:
    """Summarise a one-dimensional sample; values that are not finite are counted and left out.

    Raises:
        ValueError: Nothing finite is left.
    """
    values = np.asarray(values, dtype=np.float64)
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise ValueError("no finite value to summarise")
    return RobustSummary(
        mean=finite.mean(),
        median=np.median(finite),
        trimmed_mean=trimmed_mean(finite, trim),
        quantiles=np.quantile(finite, quantiles),
        num_values=len(finite),
        num_left_out=len(values) - len(finite),
    )
