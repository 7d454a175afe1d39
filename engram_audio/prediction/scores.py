"""Scores per frame: of the density, of the mean, of samples, of candidates.

Directions and magnitudes of an event are measured from its origin: 0 for delta, the train mean for
x_t. All scores are float64 and finite wherever the density is.

Shapes: M targets, D dimensions, S samples, N candidates, G subspaces, Q outputs of a sensitivity.
"""

import itertools
from typing import NamedTuple

import numpy as np

from engram_audio.numerics.units import LN2

RELATIVE_TINY = 1e-9  # of the event's RMS: a predicted magnitude below it counts as this


class ScoreContext(NamedTuple):
    """Fixed quantities that per-frame scores are taken relative to.

    Attributes:
        origin: Where directions and explained variance start, shape [D].
        rms: Root mean square of the event about its origin.
        directions: Principal directions, columns, shape [D, D].
        subspaces: Column ranges (start, stop) by name.
        sensitivity: Linear map from latents to what a decoder makes of them, [Q, D], or None.
    """

    origin: np.ndarray
    rms: float
    directions: np.ndarray
    subspaces: dict[str, tuple[int, int]]
    sensitivity: np.ndarray | None


def subspace_ranges(num_dims: int, edges: tuple[int, ...]) -> dict[str, tuple[int, int]]:
    """Return names and column ranges: `all`, `pc_1_8`, `pc_9_32`, and the rest."""
    cuts = [0, *sorted({edge for edge in edges if 0 < edge < num_dims}), num_dims]
    ranges = {"all": (0, num_dims)}
    if len(cuts) > 2:
        for low, high in itertools.pairwise(cuts):
            ranges[f"pc_{low + 1}_{high}"] = (low, high)
    return ranges


def cosine(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return cosines over the last axis; 0 where a vector is 0."""
    product = np.sqrt((first * first).sum(-1) * (second * second).sum(-1))
    return np.where(product > 0, (first * second).sum(-1) / np.maximum(product, 1e-300), 0.0)


def log_magnitude(vectors: np.ndarray, rms: float) -> np.ndarray:
    """Return log norms over the last axis, floored at a tiny share of the event's RMS."""
    return np.log(np.maximum(np.linalg.norm(vectors, axis=-1), RELATIVE_TINY * rms))


def mean_scores(
    values: np.ndarray, mean: np.ndarray, context: ScoreContext
) -> dict[str, np.ndarray]:
    """Return the scores of conditional means, each of shape [M].

    cosine_mean; log_magnitude and its square (for R^2); log_magnitude_error_mean, the squared
    error of log|mean|; sse_<subspace> and sst_<subspace>; decoder_* where a sensitivity is given.
    """
    values, mean = values.astype(np.float64), mean.astype(np.float64)
    actual, predicted = values - context.origin, mean - context.origin
    magnitude = log_magnitude(actual, context.rms)
    scores = {
        "cosine_mean": cosine(actual, predicted),
        "log_magnitude": magnitude,
        "log_magnitude_squared": magnitude**2,
        "log_magnitude_error_mean": (magnitude - log_magnitude(predicted, context.rms)) ** 2,
    }
    residual = (values - mean) @ context.directions
    total = (values - context.origin) @ context.directions
    for name, (low, high) in context.subspaces.items():
        scores[f"sse_{name}"] = (residual[:, low:high] ** 2).sum(1)
        scores[f"sst_{name}"] = (total[:, low:high] ** 2).sum(1)
    if context.sensitivity is not None:
        jacobian = context.sensitivity.T
        scores["decoder_cosine_mean"] = cosine(actual @ jacobian, predicted @ jacobian)
        scores["decoder_sse"] = (((values - mean) @ jacobian) ** 2).sum(1)
        scores["decoder_sst"] = (((values - context.origin) @ jacobian) ** 2).sum(1)
    return scores


def sampled_scores(
    values: np.ndarray, samples: np.ndarray, context: ScoreContext
) -> dict[str, np.ndarray]:
    """Return the scores of samples [S, M, D], each of shape [M].

    energy_score = E|X - y| - E|X - X'| / 2 (unbiased; strictly proper, in latent units);
    cosine_sample, the mean over samples; cosine_best, the best of S; magnitude and its calibrated
    error from E[log|X|].
    """
    values, samples = values.astype(np.float64), samples.astype(np.float64)
    actual, drawn = values - context.origin, samples - context.origin
    magnitude = log_magnitude(actual, context.rms)
    cosines = cosine(drawn, actual[None])
    expected = log_magnitude(drawn, context.rms).mean(0)
    return {
        "energy_score": energy_score(values, samples),
        "cosine_sample": cosines.mean(0),
        "cosine_best": cosines.max(0),
        "sampled_log_magnitude": magnitude,
        "sampled_log_magnitude_squared": magnitude**2,
        "log_magnitude_error_sample": (magnitude - expected) ** 2,
    }


def energy_score(values: np.ndarray, samples: np.ndarray) -> np.ndarray:
    """Return the energy score of each target, shape [M]; the sample pairs leave out i = j."""
    count = len(samples)
    to_value = np.linalg.norm(samples - values, axis=-1).mean(0)
    between = np.zeros(values.shape[0])
    for shift in range(1, count // 2 + 1):
        distance = np.linalg.norm(samples - np.roll(samples, shift, axis=0), axis=-1).mean(0)
        # each unordered pair appears at one shift; at shift = S/2 every pair appears twice
        between += distance * (0.5 if 2 * shift == count else 1.0)
    return to_value - 0.5 * between / ((count - 1) / 2)


def pit_ranks(
    values: np.ndarray, samples: np.ndarray, log_density: np.ndarray, sample_log_density: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return ranks in 0..S: of each value among its samples, [M, D], and of its density, [M].

    Both are uniform over the S + 1 ranks for a calibrated predictor; the density rank is the
    coverage of highest-density regions, which sees the joint law.
    """
    per_dimension = (samples < values).sum(0)
    by_density = (sample_log_density < log_density[:, None]).sum(1)
    return per_dimension, by_density


def tail_shares(ranks: np.ndarray, num_samples: int, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how much of each rank 0..S lies in the lowest and in the highest `share`.

    A rank stands for an interval of 1 / (S + 1) of all probability, which a bound may cut. So an
    exact forecast has `share` in each tail on average, with any number of samples.
    """
    width = share * (num_samples + 1)
    low = np.clip(width - ranks, 0.0, 1.0)
    return low, np.clip(width - (num_samples - ranks), 0.0, 1.0)


def info_nce_bits(log_ratios: np.ndarray) -> np.ndarray:
    """Return log2 N + log2 softmax of the true candidate, shape [M], of critics [M, N].

    Column 0 is the true future. The mean is a lower bound of the information, at most log2 N.
    """
    peak = log_ratios.max(1, keepdims=True)
    log_sum = peak[:, 0] + np.log(np.exp(log_ratios - peak).sum(1))
    return (log_ratios[:, 0] - log_sum + np.log(log_ratios.shape[1])) / LN2


def compact_sensitivity(jacobian: np.ndarray) -> np.ndarray:
    """Return R [D, D] with R^T R = J^T J of a decoder's Jacobian J [Q, D]: the same lengths."""
    return np.asarray(np.linalg.qr(jacobian.astype(np.float64), mode="r"))
