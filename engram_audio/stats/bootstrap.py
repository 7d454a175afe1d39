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
