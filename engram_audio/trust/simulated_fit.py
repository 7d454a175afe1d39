"""A small study whose keys are fitted and whose speakers can be drawn without end.

Motifs that speakers share in part: x_t = c_phase + noise_sd n around a cycle, c = sqrt(q) c_shared
+ sqrt(1 - q) c_speaker. The structure stage's own arithmetic is used on them (`structure.joint`).
Only files, slices and blocks are left out. One fit serves many draws of speakers.

Shapes: S speakers, U utterances, T frames, M targets, D dimensions, P = W D context entries, K
cells.
"""

from typing import NamedTuple

import numpy as np

from engram_audio.calibration.chains import cycle
from engram_audio.numerics.grouped import add_grouped
from engram_audio.numerics.kmeans import assign, fit_kmeans
from engram_audio.structure.joint import (
    ContextMoments,
    GroupSums,
    fit_joint,
    fitting_cost,
    ridge_slope,
    speaker_folds,
)

NUM_DIMS, NUM_CELLS, NUM_PHASES = 4, 16, 8
WINDOW_FRAMES, LAG_FRAMES = 2, 2
UTTERANCE_FRAMES = 30
JUMP, NOISE_SD, SHARED_FRACTION = 0.05, 0.7, 0.8
RIDGE = 1e-3
NUM_FOLDS = 4  # of the oracle, as in the structure stage


class Frames(NamedTuple):
    """Targets of some speakers: delta [M, D], context [M, P], speaker [M]."""

    delta: np.ndarray
    context: np.ndarray
    speaker: np.ndarray

    @property
    def newest(self) -> np.ndarray:
        """The newest context frame, [M, D]."""
        return self.context[:, :NUM_DIMS]


class Population(NamedTuple):
    """All speakers of one study: the prototypes that they share, [phases, D]."""

    shared: np.ndarray

    def speakers(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """Draw speakers' prototypes, [S, phases, D]."""
        own = rng.standard_normal((count, *self.shared.shape))
        return np.sqrt(SHARED_FRACTION) * self.shared + np.sqrt(1 - SHARED_FRACTION) * own


def draw_frames(
    prototypes: np.ndarray, num_utterances: np.ndarray, rng: np.random.Generator
) -> Frames:
    """Draw utterances of speakers.

    Args:
        prototypes: Of each speaker, [S, phases, D].
        num_utterances: Of each speaker, [S].
        rng: Randomness.
    """
    speaker = np.repeat(np.arange(len(prototypes)), num_utterances)
    shape = len(speaker), UTTERANCE_FRAMES
    phase = cycle(NUM_PHASES, JUMP).sample(shape, rng)
    frames = prototypes[speaker[:, None], phase]
    frames = frames + NOISE_SD * rng.standard_normal(frames.shape)
    first = WINDOW_FRAMES - 1 + LAG_FRAMES
    target = slice(first, None)
    ages = [
        frames[:, first - LAG_FRAMES - age : UTTERANCE_FRAMES - LAG_FRAMES - age]
        for age in range(WINDOW_FRAMES)
    ]
    context = np.concatenate(ages, axis=2)
    delta = frames[:, target] - frames[:, first - 1 : -1]
    count = delta.shape[1]
    return Frames(
        delta.reshape(-1, NUM_DIMS), context.reshape(-1, context.shape[2]),
        np.repeat(speaker, count),
    )  # fmt: skip


class Fit(NamedTuple):
    """Everything that is fitted on train speakers.

    Attributes:
        mean: Of delta, [D].
        std: Of delta, [D].
        context_mean: [P].
        slope: Of ridge, [P, D].
        cells: Centroids of the key, [K, D].
        cell_means: Mean target of each cell, [K, D].
        joint: Slope [P, D] and intercept [K, D] of context and cells together.
        cost: Share of a squared error that fitting the cell has cost, [K].
        oracle: Centroids of ridge's residual, [K, D].
    """

    mean: np.ndarray
    std: np.ndarray
    context_mean: np.ndarray
    slope: np.ndarray
    cells: np.ndarray
    cell_means: np.ndarray
    joint: tuple[np.ndarray, np.ndarray]
    cost: np.ndarray
    oracle: np.ndarray


def fit(train: Frames, rng: np.random.Generator) -> Fit:
    """Fit normalisation, ridge, key, joint model and the oracle's cells on train frames."""
    mean, std = train.delta.mean(axis=0), train.delta.std(axis=0)
    z, context_mean = (train.delta - mean) / std, train.context.mean(axis=0)
    context = train.context - context_mean
    covariance = context.T @ context / len(z)
    penalty = RIDGE * float(np.trace(covariance)) / len(covariance)
    moments = ContextMoments(covariance, context.T @ z / len(z), penalty)
    slope = ridge_slope(moments)
    cells = fit_kmeans(train.newest.astype(np.float32), NUM_CELLS, 2, 20, rng)
    code = assign(train.newest.astype(np.float32), cells)[0]
    counts = np.bincount(code, minlength=NUM_CELLS)
    sums = GroupSums(counts, _by_cell(context, code), _by_cell(z, code))
    joint = fit_joint(moments, sums)
    residual = (z - context @ slope).astype(np.float32)
    return Fit(
        mean, std, context_mean, slope, cells,
        sums.target / np.maximum(counts, 1)[:, None], (joint.slope, joint.intercept),
        fitting_cost(counts), fit_kmeans(residual, NUM_CELLS, 1, 10, rng),
    )  # fmt: skip


def _by_cell(values: np.ndarray, code: np.ndarray) -> np.ndarray:
    out = np.zeros((NUM_CELLS, values.shape[1]))
    add_grouped(out, values, code)
    return out


class Sums(NamedTuple):
    """Sums of speakers, [S] each, or [S, D] where told apart by dimension.

    Attributes:
        num_frames: Targets.
        zero: Squared targets.
        key: Squared errors about the cells' train means.
        cost_key: What fitting these has cost.
        linear: Squared errors of ridge, [S, D].
        joint: Those of ridge and cells together, less their cost, [S, D].
        cost_joint: That cost.
        oracle: Squared errors about the oracle's cross-fitted means.
        cost_oracle: What fitting these has cost.
    """

    num_frames: np.ndarray
    zero: np.ndarray
    key: np.ndarray
    cost_key: np.ndarray
    linear: np.ndarray
    joint: np.ndarray
    cost_joint: np.ndarray
    oracle: np.ndarray
    cost_oracle: np.ndarray


def score(fitted: Fit, frames: Frames, num_speakers: int, draw: np.ndarray) -> Sums:
    """Score frames of speakers.

    Args:
        fitted: The fit.
        frames: Their targets.
        num_speakers: S.
        draw: Study of each speaker, [S]: the oracle's means are cross-fitted within a study.
    """
    z = (frames.delta - fitted.mean) / fitted.std
    context = frames.context - fitted.context_mean
    code = assign(frames.newest.astype(np.float32), fitted.cells)[0]
    slope, intercept = fitted.joint
    left = z - context @ fitted.slope
    joint, cost = z - context @ slope - intercept[code], fitted.cost[code][:, None]
    about_cell = z - fitted.cell_means[code]
    oracle, oracle_cost = _oracle_errors(fitted, left, frames.speaker, draw)

    def total(values: np.ndarray) -> np.ndarray:
        out = np.zeros((num_speakers, values.shape[1]))
        add_grouped(out, values, frames.speaker)
        return out

    return Sums(
        np.bincount(frames.speaker, minlength=num_speakers).astype(np.float64),
        total(z**2).sum(1), total(about_cell**2).sum(1), total(about_cell**2 * cost).sum(1),
        total(left**2), total(joint**2 * (1 - cost)), total(joint**2 * cost).sum(1),
        total(oracle**2).sum(1), total(oracle**2 * oracle_cost[:, None]).sum(1),
    )  # fmt: skip


def _oracle_errors(
    fitted: Fit, left: np.ndarray, speaker: np.ndarray, draw: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return residuals about the oracle's cells [M, D], and what fitting these has cost [M].

    Means come from the other folds of speakers of the same study.
    """
    code = assign(left.astype(np.float32), fitted.oracle)[0]
    fold = _folds(np.bincount(speaker, minlength=len(draw)), draw)
    study = draw[speaker]
    shape = (int(draw.max()) + 1, NUM_FOLDS, NUM_CELLS)
    place = (study * NUM_FOLDS + fold[speaker]) * NUM_CELLS + code
    counts = np.bincount(place, minlength=int(np.prod(shape))).reshape(shape)
    sums = np.zeros((counts.size, left.shape[1]))
    add_grouped(sums, left, place)
    others = counts.sum(axis=1, keepdims=True) - counts
    sums = sums.reshape(*shape, -1)
    means = (sums.sum(axis=1, keepdims=True) - sums) / np.maximum(others, 1)[..., None]
    mean = means.reshape(counts.size, -1)[place]
    return left - mean, np.where(others > 0, fitting_cost(others), 0.0).reshape(-1)[place]


def _folds(num_frames: np.ndarray, draw: np.ndarray) -> np.ndarray:
    """Return the fold of each speaker within its study, [S]."""
    fold = np.zeros(len(draw), dtype=np.int64)
    for number in range(int(draw.max()) + 1):
        own = np.flatnonzero(draw == number)
        fold[own] = speaker_folds(num_frames[own], NUM_FOLDS)
    return fold
