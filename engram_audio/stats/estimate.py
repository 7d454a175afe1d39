"""Estimates that remember what each speaker contributes, and their t intervals.

The unit of sampling is the speaker (SCIENCE 11): frames of one speaker are alike, so an interval
that counts frames is too narrow by a factor of 3 to 5. Speakers are unequal. One with a third of
the frames pulls the value towards itself, so its own residual is too small by the factor 1 - h,
where h is its share. Each influence is therefore divided by 1 - h (the delete-one jackknife).

Shapes: `...` any table of cells, S speakers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.stats import student_t

MINIMUM_EFFECTIVE_SPEAKERS = 5.0  # below it no interval of this module covers as it says


class Estimate(NamedTuple):
    """A smooth function of per-speaker sums.

    Attributes:
        value: Shape [...].
        influence: Derivative of the value in each speaker's weight at weight one (infinitesimal
            jackknife), shape [..., S]. Sums to zero over speakers.
        share: Each speaker's part of the data, shape [..., S]. 0 for a speaker without data.
    """

    value: np.ndarray
    influence: np.ndarray
    share: np.ndarray

    @property
    def num_units(self) -> np.ndarray:
        """Speakers that contribute anything, shape [...]."""
        return (self.share > 0).sum(axis=-1)

    @property
    def num_effective(self) -> np.ndarray:
        """Number of equal speakers that would be as uneven, 1 / sum share^2, shape [...]."""
        return effective_number(self.share)


class Uncertain(NamedTuple):
    """A value with its standard error and the degrees of freedom of that error, each [...]."""

    value: np.ndarray
    se: np.ndarray
    df: np.ndarray


class Interval(NamedTuple):
    """Bounds of a two-sided interval, each of shape [...]."""

    low: np.ndarray
    high: np.ndarray


def effective_number(weight: np.ndarray) -> np.ndarray:
    """Return (sum weight)^2 / sum weight^2 over the last axis, shape [...]; 0 without any weight.

    S equal speakers count S. One speaker with a third and many small ones count about 9.
    """
    squares = (weight**2).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(squares > 0, weight.sum(axis=-1) ** 2 / squares, 0.0)


def deleted(estimate: Estimate) -> np.ndarray:
    """Return by how much the value falls without each speaker: influence / (1 - h), [..., S]."""
    rest = 1 - np.minimum(estimate.share, 1.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(rest > 0, estimate.influence / rest, np.nan)


def satterthwaite_df(squares: np.ndarray, num_units: np.ndarray) -> np.ndarray:
    """Return the degrees of freedom of a sum of squared normal contributions, shape [...].

    A sum of c_i with variance s_i^2 has sum(c^2) with mean sum(s^2) and variance 2 sum(s^4), so its
    df is (sum s^2)^2 / sum(s^4). E c^4 = 3 s^4 and E (sum c^2)^2 = (sum s^2)^2 + 2 sum(s^4), hence
    3 (sum c^2)^2 / sum(c^4) - 2, here kept between 1 and S - 1.

    Args:
        squares: c^2 of each speaker, shape [..., S].
        num_units: Speakers with data, shape [...].
    """
    most = np.maximum(np.asarray(num_units, dtype=np.float64) - 1, 1.0)
    total = squares.sum(axis=-1)
    # Scaled to 1, so that tiny influences do not underflow in the fourth power.
    with np.errstate(divide="ignore", invalid="ignore"):
        fourth = ((squares / total[..., None]) ** 2).sum(axis=-1)
        df = np.clip(3 / fourth - 2, 1.0, most)
    return np.where(total == 0, most, df)  # no error: any df will do


def uncertain(estimate: Estimate) -> Uncertain:
    """Return value, standard error and Satterthwaite's degrees of freedom; NaN below two speakers.

    S equal speakers and a mean as the statistic: the standard error is SD / sqrt(S - 1).
    """
    several = estimate.num_units > 1
    squares = deleted(estimate) ** 2
    se = np.sqrt(np.where(several, squares.sum(axis=-1), np.nan))
    df = np.where(several, satterthwaite_df(squares, estimate.num_units), np.nan)
    return Uncertain(estimate.value, se, df)


def t_interval(quantity: Uncertain, confidence: float) -> Interval:
    """Return value -+ t(df) * se, two-sided at `confidence`."""
    half = student_t.quantile(0.5 + confidence / 2, quantity.df) * quantity.se
    return Interval(quantity.value - half, quantity.value + half)


def smallest_shown(
    threshold: np.ndarray | float, quantity: Uncertain, confidence: float, power: float
) -> np.ndarray:
    """Return the smallest true value whose lower bound exceeds a threshold with this power, [...].

    The lower bound is normal about value - t(df) se, so the truth must lie t(df, confidence) +
    t(df, power) standard errors above the threshold.
    """
    lengths = student_t.quantile(0.5 + confidence / 2, quantity.df)
    lengths = lengths + student_t.quantile(power, quantity.df)
    return threshold + lengths * quantity.se


def function_of(
    value: np.ndarray, terms: Sequence[tuple[np.ndarray | float, Estimate]]
) -> Estimate:
    """Combine estimates on the *same* speakers by the chain rule (so differences are paired).

    Args:
        value: The function's value, shape [...].
        terms: Its derivative in each estimate (shape [...] or a number), with that estimate.
    """
    influence = sum(np.asarray(slope)[..., None] * term.influence for slope, term in terms)
    share = np.maximum.reduce([term.share for _, term in terms])
    return Estimate(value, np.asarray(influence), share)


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
    difference; the degrees of freedom are those at the quotient itself. Where the denominator is
    not distinguishable from 0 both bounds are NaN.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        own = numerator.value / denominator.value
        gap = function_of(np.zeros_like(own), [(1.0, numerator), (-own, denominator)])
        squared_t = student_t.quantile(0.5 + confidence / 2, uncertain(gap).df) ** 2
        top, bottom = (deleted(one._replace(share=gap.share)) for one in (numerator, denominator))
        # (n - q d)^2 <= t^2 var(n - q d), a quadratic in q
        curve = denominator.value**2 - squared_t * (bottom**2).sum(-1)
        middle = numerator.value * denominator.value - squared_t * (top * bottom).sum(-1)
        constant = numerator.value**2 - squared_t * (top**2).sum(-1)
        root = np.sqrt(np.maximum(middle**2 - curve * constant, 0.0))
        low = np.where(curve > 0, (middle - root) / curve, np.nan)
        high = np.where(curve > 0, (middle + root) / curve, np.nan)
    return Interval(low, high)
