"""Bootstrap over speakers as multinomial weights: no resampled copy of the data is ever made.

A draw gives speaker s the weight w_s = how often it was drawn; every weighted sum is then one
matrix product, so thousands of cells cost one pass. Shapes: B draws, S speakers, U utterances.
"""

import numpy as np

from engram_audio.stats.estimate import Interval


def speaker_weights(num_speakers: int, num_draws: int, rng: np.random.Generator) -> np.ndarray:
    """Return how often each speaker is drawn in each resample, shape [B, S], float64."""
    shares = np.full(num_speakers, 1.0 / num_speakers)
    return rng.multinomial(num_speakers, shares, size=num_draws).astype(np.float64)


def utterance_weights(
    speaker_of_utterance: np.ndarray, num_draws: int, rng: np.random.Generator
) -> np.ndarray:
    """Return hierarchical weights: speakers are drawn, then utterances within each drawn copy.

    Args:
        speaker_of_utterance: Speaker number 0 .. S-1 of each utterance, shape [U].
        num_draws: B.
        rng: Random numbers.

    Returns:
        Weights of the utterances, shape [B, U]. A speaker that is drawn m times and has n
        utterances contributes m * n utterance draws.
    """
    numbers, sizes = np.unique(speaker_of_utterance, return_counts=True)
    copies = rng.multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), size=num_draws)
    weights = np.zeros((num_draws, len(speaker_of_utterance)))
    for place, (number, size) in enumerate(zip(numbers, sizes, strict=True)):
        columns = np.flatnonzero(speaker_of_utterance == number)
        weights[:, columns] = rng.multinomial(copies[:, place] * size, np.full(size, 1 / size))
    return weights


def resampled_ratios(
    weights: np.ndarray, numerator: np.ndarray, denominator: np.ndarray
) -> np.ndarray:
    """Return sum(w a) / sum(w b) in every draw, shape [B, ...].

    Args:
        weights: Shape [B, S] (or [B, U] with sums for each utterance).
        numerator: Shape [..., S].
        denominator: Shape [..., S].
    """
    top = np.tensordot(weights, numerator, axes=(1, -1))
    bottom = np.tensordot(weights, denominator, axes=(1, -1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(bottom != 0, top / bottom, np.nan)


def percentile_interval(draws: np.ndarray, confidence: float) -> Interval:
    """Return the percentile interval over axis 0; NaN where any draw is NaN."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(draws, [tail, 1 - tail], axis=0)
    return Interval(low, high)


def studentised_interval(
    weights: np.ndarray, numerator: np.ndarray, denominator: np.ndarray, confidence: float
) -> Interval:
    """Return the bootstrap-t interval of a ratio of sums; for fewer than 20 speakers.

    The standard error of each draw needs only weighted sums of a^2, ab and b^2:
    sum w (a - R b)^2 = sum w a^2 - 2 R sum w ab + R^2 sum w b^2.
    """
    ratio = numerator.sum(axis=-1) / denominator.sum(axis=-1)
    draws = resampled_ratios(weights, numerator, denominator)
    one = np.ones((1, weights.shape[1]))
    error = _ratio_errors(one, numerator, denominator, ratio[None])[0]
    pivots = (draws - ratio) / _ratio_errors(weights, numerator, denominator, draws)
    # A draw that repeats one speaker only has no error of its own: it says nothing, not infinity.
    pivots = np.where(np.isfinite(pivots), pivots, np.nan)
    tail = (1 - confidence) / 2
    lower, upper = np.nanquantile(pivots, [tail, 1 - tail], axis=0)
    return Interval(ratio - upper * error, ratio - lower * error)


def _ratio_errors(
    weights: np.ndarray, numerator: np.ndarray, denominator: np.ndarray, ratios: np.ndarray
) -> np.ndarray:
    size = weights.shape[1]
    squares = [
        np.tensordot(weights, product, axes=(1, -1))
        for product in (numerator**2, numerator * denominator, denominator**2)
    ]
    total = np.tensordot(weights, denominator, axes=(1, -1))
    spread = np.maximum(squares[0] - 2 * ratios * squares[1] + ratios**2 * squares[2], 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.sqrt(spread * size / (size - 1)) / np.abs(total)
