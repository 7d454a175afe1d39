"""Intervals of networks: over the seeds that trained them and over the speakers they are tried on.

A gain differs from seed to seed and from speaker to speaker. An interval over speakers alone is
the interval of one trained network; it covered 14 to 77 % where 95 % was meant.

Shapes: R seeds, `...` any table of cells, S speakers.
"""

from typing import NamedTuple

import numpy as np

from engram_audio.stats.estimate import Estimate, Uncertain, deleted

MINIMUM_SEEDS = 3  # two seeds leave one degree of freedom: their interval is useless


class MeanSquares(NamedTuple):
    """The table of an analysis of variance of R seeds by S speakers, each [...].

    Attributes:
        seed: Mean square of seeds.
        speaker: Mean square of speakers.
        rest: Mean square of what is left.
        num_speakers: S.
        freedom: Degrees of freedom of speakers: the smaller of S and their effective number, less
            one.
    """

    seed: np.ndarray
    speaker: np.ndarray
    rest: np.ndarray
    num_speakers: np.ndarray
    freedom: np.ndarray


def mean_squares(estimate: Estimate) -> MeanSquares:
    """Return the mean squares of a crossed table with both factors random.

    Unequal speakers enter by (S - 1) influence / (1 - h), which is the plain deviation from the
    seed's mean where speakers are equal. They count as their effective number.

    Args:
        estimate: One value for each seed on the same speakers: value [R, ...], influence and share
            [R, ..., S].

    Raises:
        ValueError: There are fewer than three seeds.
    """
    num_seeds = len(estimate.value)
    if num_seeds < MINIMUM_SEEDS:
        raise ValueError(f"{num_seeds} seeds, but a two-way interval needs {MINIMUM_SEEDS}")
    num_speakers = estimate.num_units.min(axis=0).astype(np.float64)
    freedom = np.array(np.minimum(num_speakers, estimate.num_effective.min(axis=0)) - 1)
    deviation = (num_speakers - 1)[..., None] * deleted(estimate)
    mean = deviation.mean(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        seed = num_speakers * estimate.value.var(axis=0, ddof=1)
        speaker = num_seeds * (mean**2).sum(axis=-1) / (num_speakers - 1)
        rest = ((deviation - mean) ** 2).sum(axis=(0, -1)) / (num_speakers - 1) / (num_seeds - 1)
    return MeanSquares(
        np.asarray(seed), np.asarray(speaker), np.asarray(rest), num_speakers, freedom
    )


def two_way(estimate: Estimate) -> Uncertain:
    """Return the mean over seeds with its error over seeds and speakers.

    Args:
        estimate: As in `mean_squares`.

    Raises:
        ValueError: There are fewer than three seeds.
    """
    return error_of(estimate.value.mean(axis=0), mean_squares(estimate), len(estimate.value))


def error_of(value: np.ndarray, squares: MeanSquares, num_seeds: int | np.ndarray) -> Uncertain:
    """Return a mean with the error that mean squares of R seeds give it.

    Var = (MS_seed + MS_speaker - MS_rest) / (R S), degrees of freedom by Satterthwaite. That may
    fall below 0. Then MS_seed / (R S) with R - 1 degrees of freedom takes its place.
    """
    seed, speaker, rest, num_speakers, freedom = squares
    with np.errstate(divide="ignore", invalid="ignore"):
        total = seed + speaker - rest
        spread = seed**2 / (num_seeds - 1) + speaker**2 / freedom
        spread = spread + rest**2 / (freedom * (num_seeds - 1))
        df = np.maximum(total**2 / spread, 1.0)
    crossed = total > 0
    variance = np.where(crossed, total, seed) / (num_seeds * num_speakers)
    variance = np.where(num_speakers > 1, variance, np.nan)
    df = np.where(crossed, df, num_seeds - 1.0)
    return Uncertain(value, np.sqrt(variance), df)
