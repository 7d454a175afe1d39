"""Gains between arms: over the same seeds, speakers and frames, with intervals of both sources.

Shapes: R seeds, S speakers.
"""

import math
from typing import NamedTuple

import numpy as np

from engram_audio.stats.estimate import Estimate, t_interval
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.stats.two_way import (
    MINIMUM_SEEDS,
    MeanSquares,
    error_of,
    mean_squares,
    two_way,
)

MOST_SEEDS = 100  # beyond, more speakers are needed


class Components(NamedTuple):
    """What a gain differs by, as standard deviations in nats per frame.

    Attributes:
        seed: From training seed to training seed.
        speaker: From speaker to speaker.
        rest: From one pair of them to the next, beside both.
    """

    seed: float
    speaker: float
    rest: float


class Gain(NamedTuple):
    """A mean gain over seeds with its interval, nats per frame.

    Attributes:
        gain: The mean.
        low: Lower end; NaN with fewer than three seeds.
        high: Upper end.
        df: Degrees of freedom of its error.
        components: What it differs by; NaN with fewer than three seeds.
        num_seeds: R.
        num_speakers: S.
        seeds_needed: Seeds of the same speakers that would tell it from the margin. NaN where
            a hundred would not, or where fewer than three seeds leave that unknown.
    """

    gain: float
    low: float
    high: float
    df: float
    components: Components
    num_seeds: int
    num_speakers: int
    seeds_needed: float


UNKNOWN = Components(math.nan, math.nan, math.nan)


def gain_of(
    nll: np.ndarray, other: np.ndarray, num_frames: np.ndarray, delta: float, confidence: float
) -> Gain:
    """Return how much lower the NLL of an arm is than that of another on the same frames.

    Args:
        nll: Sums of the arm by seed and speaker, [R, S], nats.
        other: The same of the other arm.
        num_frames: Frames behind both, [R, S].
        delta: Margin that the gain has to be told from, nats per frame.
        confidence: Of the interval.
    """
    estimate = ratio_of_sums(other - nll, num_frames)
    num_seeds, num_speakers = len(nll), int(estimate.num_units.min())
    mean = float(estimate.value.mean())
    if num_seeds < MINIMUM_SEEDS or num_speakers < 2:
        return Gain(mean, math.nan, math.nan, math.nan, UNKNOWN, num_seeds, num_speakers, math.nan)
    quantity = two_way(estimate)
    interval = t_interval(quantity, confidence)
    return Gain(
        mean, float(interval.low), float(interval.high), float(quantity.df),
        components_of(mean_squares(estimate), num_seeds), num_seeds, num_speakers,
        seeds_needed(estimate, delta, confidence),
    )  # fmt: skip


def components_of(squares: MeanSquares, num_seeds: int) -> Components:
    """Return the standard deviations behind mean squares; a negative variance counts as 0."""

    def root(square: np.ndarray, count: float) -> float:
        return math.sqrt(max(float(square - squares.rest) / count, 0.0))

    rest = math.sqrt(max(float(squares.rest), 0.0))
    seed, speaker = (
        root(squares.seed, float(squares.num_speakers)),
        root(squares.speaker, num_seeds),
    )
    return Components(seed, speaker, rest)


def seeds_needed(estimate: Estimate, delta: float, confidence: float) -> float:
    """Return the fewest seeds at which the interval of this mean leaves the margin out.

    The components stay as they are measured. NaN where `MOST_SEEDS` do not suffice: what is left
    then differs between speakers.
    """
    squares = mean_squares(estimate)
    found = components_of(squares, len(estimate.value))
    distance = abs(float(estimate.value.mean()) - delta)
    counts = np.arange(MINIMUM_SEEDS, MOST_SEEDS + 1)
    quantity = error_of(0.0 * counts, expected_squares(found, squares, counts), counts)
    enough = counts[t_interval(quantity, confidence).high < distance]
    return float(enough[0]) if len(enough) else math.nan


def expected_squares(found: Components, squares: MeanSquares, num_seeds: np.ndarray) -> MeanSquares:
    """Return the mean squares that components give on average with other numbers of seeds."""
    rest = found.rest**2
    return squares._replace(
        seed=squares.num_speakers * found.seed**2 + rest,
        speaker=num_seeds * found.speaker**2 + rest,
        rest=np.asarray(rest),
    )
