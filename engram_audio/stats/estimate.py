"""Estimates that remember what each speaker contributes, and their t intervals.

The unit of sampling is the speaker (SCIENCE 11): frames of one speaker are alike, so an interval
that counts frames is too narrow by a factor of 3 to 5.

Shapes: `...` any table of cells, S speakers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.stats import student_t


class Estimate(NamedTuple):
    """A smooth function of per-speaker sums.

    Attributes:
        value: Shape [...].
        influence: Derivative of the value in each speaker's weight at weight one (infinitesimal
            jackknife), shape [..., S]. Sums to zero over speakers.
        num_units: Speakers that contribute anything, shape [...].
    """

    value: np.ndarray
    influence: np.ndarray
    num_units: np.ndarray


class Uncertain(NamedTuple):
    """A value with its standard error and the degrees of freedom of that error, each [...]."""

    value: np.ndarray
    se: np.ndarray
    df: np.ndarray


class Interval(NamedTuple):
    """Bounds of a two-sided interval, each of shape [...]."""

    low: np.ndarray
    high: np.ndarray


def uncertain(estimate: Estimate) -> Uncertain:
    """Return value, standard error and S - 1 degrees of freedom; NaN below two speakers.

    With equal weights and a mean as the statistic, the standard error is exactly SD / sqrt(S).
    """
    units = np.asarray(estimate.num_units, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        squared = (estimate.influence**2).sum(axis=-1) * np.where(
            units > 1, units / (units - 1), np.nan
        )
    return Uncertain(estimate.value, np.sqrt(squared), np.where(units > 1, units - 1, np.nan))


def t_interval(quantity: Uncertain, confidence: float) -> Interval:
    """Return value -+ t(df) * se, two-sided at `confidence`."""
    half = student_t.quantile(0.5 + confidence / 2, quantity.df) * quantity.se
    return Interval(quantity.value - half, quantity.value + half)


def function_of(
    value: np.ndarray, terms: Sequence[tuple[np.ndarray | float, Estimate]]
) -> Estimate:
    """Combine estimates on the *same* speakers by the chain rule (so differences are paired).

    Args:
        value: The function's value, shape [...].
        terms: Its derivative in each estimate (shape [...] or a number), with that estimate.
    """
    influence = sum(np.asarray(slope)[..., None] * term.influence for slope, term in terms)
    units = np.maximum.reduce([term.num_units for _, term in terms])
    return Estimate(value, np.asarray(influence), units)


def paired_difference(first: Estimate, second: Estimate) -> Estimate:
    """Return first - second on the same speakers; what both share cancels from the error."""
    return function_of(first.value - second.value, [(1.0, first), (-1.0, second)])


def linear_combination(first: Uncertain, second: Uncertain, slope: np.ndarray | float) -> Uncertain:
    """Return first + slope * second of independent groups (Welch-Satterthwaite)."""
    variances = first.se**2, (slope * second.se) ** 2
    total = variances[0] + variances[1]
    with np.errstate(divide="ignore", invalid="ignore"):
        df = total**2 / (variances[0] ** 2 / first.df + variances[1] ** 2 / second.df)
    df = np.where(total == 0, np.minimum(first.df, second.df), df)  # no error: any df will do
    return Uncertain(first.value + slope * second.value, np.sqrt(total), df)


def fieller_quotient(numerator: Uncertain, denominator: Uncertain, confidence: float) -> Interval:
    """Return the interval of numerator / denominator of independent groups by Fieller's theorem.

    It holds every q that the data do not refute as `numerator - q * denominator = 0`. Unlike the
    delta method it stays honest when the denominator is small; where the denominator is not
    distinguishable from 0, no bounded interval exists and both bounds are NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = numerator.value / denominator.value
        df = linear_combination(numerator, denominator, -quotient).df
        squared_t = student_t.quantile(0.5 + confidence / 2, df) ** 2
        # (n - q d)^2 <= t^2 (vn + q^2 vd), a quadratic in q
        curve = denominator.value**2 - squared_t * denominator.se**2
        middle = numerator.value * denominator.value
        constant = numerator.value**2 - squared_t * numerator.se**2
        root = np.sqrt(np.maximum(middle**2 - curve * constant, 0.0))
        bounded = curve > 0
        low = np.where(bounded, (middle - root) / curve, np.nan)
        high = np.where(bounded, (middle + root) / curve, np.nan)
    return Interval(low, high)


def paired_quotient(numerator: Estimate, denominator: Estimate, confidence: float) -> Interval:
    """Return the interval of numerator / denominator on the *same* speakers (Fieller's theorem).

    It holds every q that the data do not refute as `numerator - q * denominator = 0`, a paired
    difference. Where the denominator is not distinguishable from 0 both bounds are NaN.
    """
    units = np.maximum(numerator.num_units, denominator.num_units).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        df = np.where(units > 1, units - 1, np.nan)
        scale = student_t.quantile(0.5 + confidence / 2, df) ** 2 * units / df
        top, bottom = numerator.influence, denominator.influence
        # (n - q d)^2 <= t^2 var(n - q d), a quadratic in q
        curve = denominator.value**2 - scale * (bottom**2).sum(-1)
        middle = numerator.value * denominator.value - scale * (top * bottom).sum(-1)
        constant = numerator.value**2 - scale * (top**2).sum(-1)
        root = np.sqrt(np.maximum(middle**2 - curve * constant, 0.0))
        low = np.where(curve > 0, (middle - root) / curve, np.nan)
        high = np.where(curve > 0, (middle + root) / curve, np.nan)
    return Interval(low, high)
