"""Ratios of sums over speakers: the form of every variance ratio, R^2, cosine and nats per frame.

Shapes: `...` any table of cells, S speakers.
"""

import numpy as np

from engram_audio.stats.estimate import Estimate, function_of


def ratio_of_sums(numerator: np.ndarray, denominator: np.ndarray) -> Estimate:
    """Return sum(numerator) / sum(denominator) with each speaker's influence on it.

    Args:
        numerator: One sum for each speaker, shape [..., S], float64.
        denominator: Likewise; a speaker with 0 has no data here and is not counted. A speaker's
            share is its part of the sum of |denominator|.

    Returns:
        The ratio (NaN where the denominator sums to 0); the influence of speaker s is
        (a_s - R b_s) / sum(b).
    """
    total = denominator.sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = np.where(total != 0, numerator.sum(axis=-1) / total, np.nan)
        influence = (numerator - value[..., None] * denominator) / total[..., None]
        size = np.abs(denominator)
        share = np.where(size > 0, size / size.sum(axis=-1, keepdims=True), 0.0)
    return Estimate(value, influence, share)


def scaled(estimate: Estimate, factor: np.ndarray | float) -> Estimate:
    """Return the estimate times a known factor."""
    return function_of(estimate.value * factor, [(factor, estimate)])


def complement(estimate: Estimate) -> Estimate:
    """Return 1 - estimate."""
    return function_of(1.0 - estimate.value, [(-1.0, estimate)])


def quotient(numerator: Estimate, denominator: Estimate) -> Estimate:
    """Return numerator / denominator on the same speakers (delta method)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        value = numerator.value / denominator.value
        slopes = 1.0 / denominator.value, -value / denominator.value
    return function_of(value, [(slopes[0], numerator), (slopes[1], denominator)])
