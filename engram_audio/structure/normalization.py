"""Normalised targets: delta with train mean and SD, and the principal directions of delta.

z_t = (delta_t - mean) / SD with the train frames of the slice, so that the train grand mean of z
is 0 and its variance 1 (less in a dimension whose SD lies below the floor). The floor is a share of
the frames' own RMS value, dimension by dimension, so that no number depends on a unit.

Shapes: M targets, D dimensions, Q principal directions kept.
"""

from typing import NamedTuple

import numpy as np

from engram_audio import windows
from engram_audio.latents.block import BlockSource
from engram_audio.numerics.moments import Moments
from engram_audio.numerics.subspace import fix_signs
from engram_audio.stats.floors import floored_variance
from engram_audio.structure.targets import SliceTargets


class Normalization(NamedTuple):
    """Train statistics of delta in one slice.

    Attributes:
        mean: [D], float64.
        std: Floored, [D], float64.
        variance: Variance of z on train, [D]: 1, or less where the floor acts.
        directions: Principal directions of z, columns by falling variance, [D, D].
        effective_dims: Participation ratio tr(R)^2 / tr(R^2) of the covariance R of z.
    """

    mean: np.ndarray
    std: np.ndarray
    variance: np.ndarray
    directions: np.ndarray
    effective_dims: float

    def apply(self, frames: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return z of the target rows, [M, D], float32."""
        steps = windows.delta(frames, rows)
        steps -= self.mean.astype(np.float32)
        steps /= self.std.astype(np.float32)
        return steps


def fit_normalizations(
    source: BlockSource, slices: list[SliceTargets], std_floor: float
) -> list[Normalization]:
    """Fit the statistics of all slices in one pass over the train targets.

    Products run in single precision per block about the first block's mean and are summed in
    float64.
    """
    moments: list[_Moments | None] = [None] * len(slices)
    for number, block in enumerate(source()):
        for place, targets in enumerate(slices):
            span = slice(int(targets.start[number]), int(targets.start[number + 1]))
            rows = targets.rows[number][targets.part[span] == 0]
            if len(rows) == 0:
                continue
            steps = windows.delta(block.frames, rows)
            moments[place] = (moments[place] or _Moments(steps)).add(steps, block.frames[rows])
    return [_normalization(item, source, std_floor) for item in moments]


class _Moments:
    """Moments of delta about a fixed shift, and the frames' squares."""

    def __init__(self, steps: np.ndarray) -> None:
        self.steps = Moments(steps.mean(axis=0, dtype=np.float64).astype(np.float32))
        self.frame_square = np.zeros(steps.shape[1])

    def add(self, steps: np.ndarray, frames: np.ndarray) -> "_Moments":
        self.frame_square += np.einsum("md,md->d", frames, frames, dtype=np.float64)
        self.steps.add(steps)
        return self


def _normalization(
    moments: _Moments | None, source: BlockSource, std_floor: float
) -> Normalization:
    if moments is None:
        width = next(iter(source())).frames.shape[1]
        zero, one = np.zeros(width), np.ones(width)
        return Normalization(zero, one, one, np.eye(width), float(width))
    steps = moments.steps
    covariance = steps.covariance()
    variance = np.maximum(np.diag(covariance), 0.0)
    std = np.sqrt(floored_variance(variance, moments.frame_square / steps.count, std_floor))
    correlation = covariance / np.outer(std, std)
    directions = np.linalg.eigh(correlation)[1][:, ::-1]
    trace = float(np.trace(correlation))
    squared = float(np.sum(correlation**2))
    return Normalization(
        mean=steps.mean,
        std=std,
        variance=variance / std**2,
        directions=fix_signs(directions),
        effective_dims=trace**2 / squared if squared > 0 else float(len(std)),
    )


def subspace_edges(edges: tuple[int, ...], num_dims: int) -> list[tuple[str, int, int]]:
    """Return (name, first, stop) of the principal subspaces, for example ("pc_1_8", 0, 8).

    The last one reaches to D; edges beyond D are cut.
    """
    stops = sorted({min(edge, num_dims) for edge in edges} | {num_dims})
    starts = [0, *stops[:-1]]
    return [
        (f"pc_{start + 1}_{stop}", start, stop) for start, stop in zip(starts, stops, strict=True)
    ]
