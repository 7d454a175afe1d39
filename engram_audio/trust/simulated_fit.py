"""A small study whose keys are fitted and whose speakers can be drawn without end.

Motifs that speakers share in part: x_t = c_phase + noise_sd n around a cycle, c = sqrt(q) c_shared
+ sqrt(1 - q) c_speaker. The structure stage's own arithmetic is used on them (`structure.joint`).
Only files and blocks are left out. One fit serves many draws of speakers. Slices are the two halves
of utterances, which have one law, so that both stand on a boundary at once.

Shapes: S speakers, U utterances, T frames, M targets, D dimensions, P = W D context entries, K
cells, R heads.
"""

from typing import NamedTuple

import numpy as np

from engram_audio.calibration.chains import cycle
from engram_audio.numerics.covariance import Covariance
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
# Keys: k-means of the newest context frame from two starts, and of the frame before it.
AGES = (0, 0, 1)
HEAD_SHARE = 0.75  # of the train speakers that a head is fitted on: so heads differ as seeds do
HALVES = 2


class Frames(NamedTuple):
    """Targets of some speakers: delta [M, D], context [M, P], speaker [M], half [M]."""

    delta: np.ndarray
    context: np.ndarray
    speaker: np.ndarray
    half: np.ndarray

    def aged(self, age: int) -> np.ndarray:
        """Return the context frame of an age, 0 the newest, [M, D], float32."""
        return self.context[:, age * NUM_DIMS : (age + 1) * NUM_DIMS].astype(np.float32)

    @property
    def unit(self) -> np.ndarray:
        """Speaker and half as one number, [M]."""
        return self.speaker * HALVES + self.half

    def of(self, chosen: np.ndarray) -> "Frames":
        """Return some targets; `chosen` is bool [M]."""
        return Frames(*(values[chosen] for values in self))


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
    half = np.arange(count) * HALVES // count
    return Frames(
        delta.reshape(-1, NUM_DIMS), context.reshape(-1, context.shape[2]),
        np.repeat(speaker, count), np.tile(half, len(speaker)),
    )  # fmt: skip


class KeyFit(NamedTuple):
    """One key.

    Attributes:
        age: Which context frame it reads.
        cells: Centroids, [K, D].
        means: Mean target of each cell, [K, D].
        slope: Of context and cells together, [P, D].
        intercept: Of each cell, [K, D].
        cost: Share of a squared error that fitting the cell has cost, [K].
    """

    age: int
    cells: np.ndarray
    means: np.ndarray
    slope: np.ndarray
    intercept: np.ndarray
    cost: np.ndarray

    def code(self, frames: Frames) -> np.ndarray:
        """Return the cell of each context, [M]."""
        return assign(frames.aged(self.age), self.cells)[0]


class Fit(NamedTuple):
    """Everything that is fitted on train speakers.

    Attributes:
        mean: Of delta, [D].
        std: Of delta, [D].
        context_mean: [P].
        slope: Of ridge, [P, D].
        sd: Of what ridge leaves, [D].
        keys: One for each of `AGES`.
        oracle: Centroids of ridge's residual, [K, D].
    """

    mean: np.ndarray
    std: np.ndarray
    context_mean: np.ndarray
    slope: np.ndarray
    sd: np.ndarray
    keys: tuple[KeyFit, ...]
    oracle: np.ndarray

    def scaled(self, frames: Frames) -> tuple[np.ndarray, np.ndarray]:
        """Return targets [M, D] and contexts [M, P] as the models see them."""
        return (frames.delta - self.mean) / self.std, frames.context - self.context_mean


def fit(train: Frames, rng: np.random.Generator) -> Fit:
    """Fit normalisation, ridge, keys, joint models and the oracle's cells on train frames."""
    mean, std = train.delta.mean(axis=0), train.delta.std(axis=0)
    z, context_mean = (train.delta - mean) / std, train.context.mean(axis=0)
    context = train.context - context_mean
    moments = _moments(z, context)
    slope = ridge_slope(moments)
    keys = tuple(_fit_key(train, z, context, age, moments, rng) for age in AGES)
    residual = z - context @ slope
    oracle = fit_kmeans(residual.astype(np.float32), NUM_CELLS, 1, 10, rng)
    return Fit(mean, std, context_mean, slope, residual.std(axis=0), keys, oracle)


def _moments(z: np.ndarray, context: np.ndarray) -> ContextMoments:
    covariance = Covariance(context.T @ context / len(z))
    penalty = RIDGE * covariance.trace / len(covariance)
    return ContextMoments(covariance, context.T @ z / len(z), penalty)


def _fit_key(
    train: Frames, z: np.ndarray, context: np.ndarray, age: int, moments: ContextMoments,
    rng: np.random.Generator,
) -> KeyFit:  # fmt: skip
    cells = fit_kmeans(train.aged(age), NUM_CELLS, 1, 20, rng)
    code = assign(train.aged(age), cells)[0]
    counts = np.bincount(code, minlength=NUM_CELLS)
    sums = GroupSums(counts, _by_cell(context, code), _by_cell(z, code))
    joint = fit_joint(moments, sums)
    means = sums.target / np.maximum(counts, 1)[:, None]
    return KeyFit(age, cells, means, joint.slope, joint.intercept, fitting_cost(counts))


class Head(NamedTuple):
    """A density head: a key's joint mean, with a standard deviation of each cell, [K, D]."""

    key: KeyFit
    sd: np.ndarray


def fit_head(fitted: Fit, train: Frames, rng: np.random.Generator) -> Head:
    """Fit a head from a start of its own, on train speakers of its own."""
    number = int(train.speaker.max()) + 1
    chosen = rng.permutation(number)[: round(HEAD_SHARE * number)]
    own = train.of(np.isin(train.speaker, chosen))
    z, context = fitted.scaled(own)
    key = _fit_key(own, z, context, 0, _moments(z, context), rng)
    code = key.code(own)
    left = z - context @ key.slope - key.intercept[code]
    counts = np.bincount(code, minlength=NUM_CELLS)[:, None]
    variance = (_by_cell(left**2, code) + left.var(axis=0)) / (counts + 1)
    return Head(key, np.sqrt(variance))


def head_gains(fitted: Fit, head: Head, frames: Frames) -> np.ndarray:
    """Return a head's log density less that of ridge with one variance, nats, [M]."""
    z, context = fitted.scaled(frames)
    code = head.key.code(frames)
    own = (z - context @ head.key.slope - head.key.intercept[code]) / head.sd[code]
    null = (z - context @ fitted.slope) / fitted.sd
    gain = 0.5 * (null**2 - own**2) + np.log(fitted.sd) - np.log(head.sd[code])
    return gain.sum(axis=1)


def _by_cell(values: np.ndarray, code: np.ndarray) -> np.ndarray:
    out = np.zeros((NUM_CELLS, values.shape[1]))
    add_grouped(out, values, code)
    return out


class Sums(NamedTuple):
    """Sums of one key by speaker and half, [2 S] each, or [2 S, D] where told apart by dimension.

    Attributes:
        num_frames: Targets.
        zero: Squared targets.
        key: Squared errors about the cells' train means.
        cost_key: What fitting these has cost.
        linear: Squared errors of ridge, [2 S, D].
        joint: Those of ridge and cells together, less their cost, [2 S, D].
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

    def whole(self) -> "Sums":
        """Return the sums of both halves, by speaker."""
        return Sums(*(sum_halves(values) for values in self))

    def of_half(self, half: int) -> "Sums":
        """Return the sums of one half, by speaker."""
        return Sums(*(values[half::HALVES] for values in self))


def sum_halves(values: np.ndarray) -> np.ndarray:
    """Return the sums of both halves, [2 S, ...] -> [S, ...]."""
    return values[::HALVES] + values[1::HALVES]


def score(fitted: Fit, frames: Frames, draw: np.ndarray, num_keys: int) -> list[Sums]:
    """Score frames of speakers with the first keys.

    Args:
        fitted: The fit.
        frames: Their targets.
        draw: Study of each speaker, [S]: the oracle's means are cross-fitted within a study.
        num_keys: How many keys.
    """
    z, context = fitted.scaled(frames)
    left = z - context @ fitted.slope
    oracle, oracle_cost = _oracle_errors(fitted, left, frames.speaker, draw)

    def total(values: np.ndarray) -> np.ndarray:
        out = np.zeros((len(draw) * HALVES, values.shape[1]))
        add_grouped(out, values, frames.unit)
        return out

    count = np.bincount(frames.unit, minlength=len(draw) * HALVES).astype(np.float64)
    zero, linear, oracle_error = total(z**2).sum(1), total(left**2), oracle**2
    attained = total(oracle_error).sum(1), total(oracle_error * oracle_cost[:, None]).sum(1)
    found = []
    for key in fitted.keys[:num_keys]:
        code = key.code(frames)
        joint = (z - context @ key.slope - key.intercept[code]) ** 2
        about_cell, cost = (z - key.means[code]) ** 2, key.cost[code][:, None]
        found.append(
            Sums(
                count, zero, total(about_cell).sum(1), total(about_cell * cost).sum(1),
                linear, total(joint * (1 - cost)), total(joint * cost).sum(1), *attained,
            )
        )  # fmt: skip
    return found


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
