"""Fit the entries of a table by slot: plain means, or robust centres with an inlier weight.

Everything is in whitened units z of the base; all slots are fitted at once by segment sums.

Shapes: n frames by slot, S slots, R most frames of a slot, D dimensions.
"""

from typing import NamedTuple

import numpy as np

from engram_audio.numerics.units import LOG_2PI

EM_ITERATIONS = 15
MAD_TO_SD = 1.4826
TINY = 1e-12
PADDED_VALUES = 1 << 24  # of the arrays that medians are taken in


class Entries(NamedTuple):
    """The values of a table, float64.

    Attributes:
        mean: Stored means, shape [S, D].
        log_sd: Log of their diagonal spreads, shape [S, D].
        weight: Probability that the entry, not the base, explains a frame, shape [S].
    """

    mean: np.ndarray
    log_sd: np.ndarray
    weight: np.ndarray


class Shrinkage(NamedTuple):
    """Pseudo-frames: of a mean of 0, and of the common spread and weight."""

    mean: float
    spread: float


class Segments(NamedTuple):
    """Frames grouped by slot.

    Attributes:
        z: Values, shape [n, D], float64.
        base_log: Log density of the base at the same values in the same units, shape [n].
        starts: First row of each slot, shape [S + 1]; no slot is empty.
    """

    z: np.ndarray
    base_log: np.ndarray
    starts: np.ndarray

    @property
    def sizes(self) -> np.ndarray:
        """Frames of each slot, shape [S]."""
        return np.diff(self.starts)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum values [n, ...] by slot."""
        return np.add.reduceat(values, self.starts[:-1], axis=0)

    def spread_out(self, values: np.ndarray) -> np.ndarray:
        """Repeat values [S, ...] for the frames of each slot."""
        return np.repeat(values, self.sizes, axis=0)


def segment_medians(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the median of each segment and dimension, shape [S, D], of values [n, D]."""
    sizes = np.diff(starts)
    medians = np.empty((len(sizes), values.shape[1]))
    group = max(PADDED_VALUES // (int(sizes.max()) * values.shape[1]), 1)
    for low in range(0, len(sizes), group):
        own = slice(low, low + group)
        medians[own] = _padded_medians(values, starts[low : low + group + 1])
    return medians


def _padded_medians(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Medians of a few segments, side by side in one padded array."""
    sizes = np.diff(starts)
    slot = np.repeat(np.arange(len(sizes)), sizes)
    position = np.arange(starts[0], starts[-1]) - np.repeat(starts[:-1], sizes)
    padded = np.full((len(sizes), int(sizes.max()), values.shape[1]), np.inf)
    padded[slot, position] = values[starts[0] : starts[-1]]
    padded.sort(axis=1)
    rows = np.arange(len(sizes))
    return 0.5 * (padded[rows, (sizes - 1) // 2] + padded[rows, sizes // 2])


def fit_entries(
    segments: Segments,
    location: str,
    spread: str,
    weight: str,
    shrinkage: Shrinkage,
    floor: np.ndarray,
) -> Entries:
    """Fit all slots; spreads are predictive, they hold the uncertainty of the mean.

    Args:
        segments: Frames by slot.
        location: `mean` or `robust`.
        spread: `shared` or `slot`.
        weight: `one`, `shared` or `slot`.
        shrinkage: Pseudo-frames of the priors.
        floor: Smallest spread, shape [D].
    """
    is_mixed = weight != "one"
    if location == "robust":
        mean = segment_medians(segments.z, segments.starts)
        absolute = np.abs(segments.z - segments.spread_out(mean))
        sd = MAD_TO_SD * segment_medians(absolute, segments.starts)
        pooled = _weighted_median(sd, segments.sizes)
        sd = np.maximum(np.sqrt(0.5 * (sd**2 + pooled**2)), floor)
    else:
        mean = segments.sums(segments.z) / (segments.sizes + shrinkage.mean)[:, None]
        sd = _spread(segments, np.ones(len(segments.z)), mean, spread, shrinkage, floor)
    own = np.full(len(segments.sizes), 0.5 if is_mixed else 1.0)
    if location == "mean" and not is_mixed:
        return Entries(mean, np.log(sd), own)
    for _ in range(EM_ITERATIONS):
        share = (
            _responsibility(segments, mean, sd, own) if is_mixed else _inliers(segments, mean, sd)
        )
        mass = segments.sums(share)
        mean = segments.sums(share[:, None] * segments.z) / (mass + shrinkage.mean + TINY)[:, None]
        sd = _spread(segments, share, mean, spread, shrinkage, floor)
        if is_mixed:
            common = mass.sum() / segments.sizes.sum()
            pull = max(shrinkage.spread, 1.0)
            own = (mass + pull * common) / (segments.sizes + pull)
            own = np.full_like(own, common) if weight == "shared" else own
    return Entries(mean, np.log(sd), own)


def _log_normal(segments: Segments, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    scaled = (segments.z - segments.spread_out(mean)) / segments.spread_out(sd)
    constant = -np.log(sd).sum(1) - 0.5 * sd.shape[1] * LOG_2PI
    return segments.spread_out(constant) - 0.5 * (scaled**2).sum(1)


def _responsibility(
    segments: Segments, mean: np.ndarray, sd: np.ndarray, weight: np.ndarray
) -> np.ndarray:
    """Probability that the entry explains a frame, against the base, shape [n]."""
    weight = np.clip(weight, 1e-6, 1 - 1e-6)
    odds = segments.spread_out(np.log(weight) - np.log1p(-weight))
    logit = odds + _log_normal(segments, mean, sd) - segments.base_log
    return 1 / (1 + np.exp(np.clip(-logit, -700, 700)))


def _inliers(segments: Segments, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Weights of multivariate-t type, nu = 4: robust without a density to compete with."""
    scaled = (segments.z - segments.spread_out(mean)) / segments.spread_out(sd)
    num_dims = sd.shape[1]
    return (4 + num_dims) / (4 + (scaled**2).sum(1))


def _spread(
    segments: Segments,
    share: np.ndarray,
    mean: np.ndarray,
    spread: str,
    shrinkage: Shrinkage,
    floor: np.ndarray,
) -> np.ndarray:
    """Predictive spread of each slot, pulled to the common one, shape [S, D].

    The common spread of `slot` is a median over slots: a few slots whose frames do not belong
    together would widen a mean. A mean of m frames adds 1/m of the variance.
    """
    squares = segments.sums(share[:, None] * (segments.z - segments.spread_out(mean)) ** 2)
    mass = segments.sums(share)[:, None]
    if spread == "shared":
        pooled = squares.sum(0) / max(float(mass.sum()), TINY)
        return np.maximum(np.sqrt(np.broadcast_to(pooled, squares.shape)), floor)
    unbiased = squares / np.maximum(mass - 1, 1.0)
    common = _weighted_median(unbiased, mass[:, 0])
    # one pseudo-frame at least: a slot of one frame has no spread of its own
    pull = max(shrinkage.spread, 1.0)
    degrees = np.maximum(mass - 1, 0.0)
    variance = (degrees * unbiased + pull * common) / (degrees + pull)
    predictive = variance * (1 + 1 / (mass + shrinkage.mean + 1e-3))
    return np.maximum(np.sqrt(predictive), floor)


def _weighted_median(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the weighted median over slots of each dimension, shape [D], of values [S, D]."""
    order = np.argsort(values, axis=0, kind="stable")
    cumulative = np.cumsum(weights[order], axis=0)
    place = (cumulative < 0.5 * cumulative[-1]).sum(axis=0)
    return np.take_along_axis(values, order, 0)[place, np.arange(values.shape[1])]
