"""Fit the entries of a table by slot: plain means, or robust centres with an inlier weight.

Everything is in whitened units z of the base. All slots are fitted at once by segment sums, a few
slots at a time, so that what is worked on stays in the cache.

Shapes: n frames by slot, S slots, R most frames of a slot, D dimensions.
"""

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from engram_audio.numerics.units import LOG_2PI

EM_ITERATIONS = 15
MAD_TO_SD = 1.4826
TINY = 1e-12
PIECE_VALUES = 1 << 17  # of the slots worked on at a time: a megabyte


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


@dataclass(frozen=True)
class Segments:
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

    @functools.cached_property
    def robust(self) -> tuple[np.ndarray, np.ndarray]:
        """Median of each slot and its median absolute deviation, each [S, D]: once for all fits."""
        centre = segment_medians(self.z, self.starts)
        found = np.empty_like(centre)
        for slots, _, own in self.pieces():
            absolute = np.abs(own.z - own.spread_out(centre[slots]))
            found[slots] = segment_medians(absolute, own.starts)
        return centre, found

    def pieces(self) -> "Iterator[tuple[slice, slice, Segments]]":
        """Yield a few slots at a time: their numbers, their frames, and these as segments."""
        limit = max(PIECE_VALUES // self.z.shape[1], 1)
        first = 0
        while first < len(self.starts) - 1:
            last = int(np.searchsorted(self.starts, self.starts[first] + limit, side="right")) - 1
            slots = slice(first, max(last, first + 1))
            rows = slice(int(self.starts[slots.start]), int(self.starts[slots.stop]))
            starts = self.starts[slots.start : slots.stop + 1] - rows.start
            yield slots, rows, Segments(self.z[rows], self.base_log[rows], starts)
            first = slots.stop


def segment_medians(values: np.ndarray, starts: np.ndarray) -> np.ndarray:
    """Return the median of each segment and dimension, shape [S, D], of values [n, D]."""
    medians = np.empty((len(starts) - 1, values.shape[1]))
    for slot, (low, high) in enumerate(itertools.pairwise(starts)):
        count = high - low
        middle = sorted({(count - 1) // 2, count // 2})
        # one dimension a row: selection then runs along memory
        ordered = np.partition(np.ascontiguousarray(values[low:high].T), middle, axis=1)
        medians[slot] = 0.5 * (ordered[:, middle[0]] + ordered[:, middle[-1]])
    return medians


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
        mean, deviation = segments.robust
        sd = MAD_TO_SD * deviation
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
        mean = _weighted_sums(segments, share) / (mass + shrinkage.mean + TINY)[:, None]
        sd = _spread(segments, share, mean, spread, shrinkage, floor)
        if is_mixed:
            common = mass.sum() / segments.sizes.sum()
            pull = max(shrinkage.spread, 1.0)
            own = (mass + pull * common) / (segments.sizes + pull)
            own = np.full_like(own, common) if weight == "shared" else own
    return Entries(mean, np.log(sd), own)


def _log_normal(segments: Segments, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    constant = -np.log(sd).sum(1) - 0.5 * sd.shape[1] * LOG_2PI
    return segments.spread_out(constant) - 0.5 * _scaled_squares(segments, mean, sd)


def _scaled_squares(segments: Segments, mean: np.ndarray, sd: np.ndarray) -> np.ndarray:
    """Return the squared distance of each frame from its slot's mean in its spread, shape [n]."""
    found = np.empty(len(segments.z))
    for slots, rows, own in segments.pieces():
        left = own.z - own.spread_out(mean[slots])
        left *= own.spread_out(1 / sd[slots])
        found[rows] = np.einsum("nd,nd->n", left, left)
    return found


def _weighted_sums(segments: Segments, share: np.ndarray) -> np.ndarray:
    """Return the sums of weighted frames by slot, [S, D], of weights [n]."""
    found = np.empty((len(segments.sizes), segments.z.shape[1]))
    for slots, rows, own in segments.pieces():
        found[slots] = own.sums(share[rows, None] * own.z)
    return found


def _weighted_squares(segments: Segments, share: np.ndarray, mean: np.ndarray) -> np.ndarray:
    """Return the sums of weighted squares about slot means by slot, [S, D]."""
    found = np.empty_like(mean)
    for slots, rows, own in segments.pieces():
        left = own.z - own.spread_out(mean[slots])
        left *= left
        left *= share[rows, None]
        found[slots] = own.sums(left)
    return found


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
    num_dims = sd.shape[1]
    return (4 + num_dims) / (4 + _scaled_squares(segments, mean, sd))


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
    squares = _weighted_squares(segments, share, mean)
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
