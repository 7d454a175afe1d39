"""The targets that laws are scored on, in the units of the bank: alone, or beside a linear base.

Alone, y is the position or the next step in units of its train SD. Beside the linear base, y is the
whitened residual of a ridge regression on the context. Residuals of train speakers come from fits
without their fold of speakers: what a base misses on frames it was fitted on is too small.

Shapes: N frames, M targets, D dimensions, W window frames, F folds.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engram_audio import windows
from engram_audio.corpus.split_parts import PARTS, SELECT, TRAIN, VAL
from engram_audio.keys.config import BaseName, TargetName
from engram_audio.latents.block import LatentBlock, split_block
from engram_audio.latents.targets import speech_targets, targets_of
from engram_audio.numerics.ridge import ridge_weights
from engram_audio.numerics.seeds import checksum
from engram_audio.numerics.slices import LoudEnergies, slice_masks
from engram_audio.numerics.window_moments import WindowAccumulator, WindowMoments

PIECE_FRAMES = 65536  # moments are added up in pieces: their float64 copies stay small
SMALLEST_SD = 1e-6  # as a share of the largest: a constant dimension tells nothing


class Aim(NamedTuple):
    """What a law is about.

    Attributes:
        target: `position` or `delta`.
        base: `none` or `linear`.
        lag_frames: k.
    """

    target: TargetName
    base: BaseName
    lag_frames: int


class LawTargets(NamedTuple):
    """Targets of one representation at one lag.

    Attributes:
        block: All utterances.
        rows: Ascending block rows, [M].
        part: Number of each target's part in PARTS, [M].
        speaker: Number of each target's speaker, [M].
        speaker_ids: Their names.
        utterance: Number of each target's utterance, [M].
        lag_frames: k.
        window_frames: W.
    """

    block: LatentBlock
    rows: np.ndarray
    part: np.ndarray
    speaker: np.ndarray
    speaker_ids: np.ndarray
    utterance: np.ndarray
    lag_frames: int
    window_frames: int

    def of_part(self, part: str) -> np.ndarray:
        """Return which targets are of a part: ascending numbers among the M."""
        return np.flatnonzero(self.part == PARTS.index(part))

    @property
    def choice_part(self) -> str:
        """The part that choices are made on."""
        return SELECT if (self.part == PARTS.index(SELECT)).any() else VAL

    def contexts(self, items: np.ndarray) -> np.ndarray:
        """Return the contexts of some targets, [m, W, D]."""
        rows = self.rows[items]
        return windows.gather_contexts(self.block.frames, rows, self.lag_frames, self.window_frames)

    def slice_masks(
        self, names: Sequence[str], medial: tuple[float, float], speech_range_db: float | None
    ) -> np.ndarray:
        """Return which targets are in which slice, [num_slices, M].

        Args:
            names: Slices.
            medial: Where `medial` begins and ends.
            speech_range_db: Decibels below loud that still are speech; None without energies.
        """
        block, is_speech = self.block, np.zeros(len(self.rows), bool)
        if speech_range_db is not None and "speech" in names:
            loud = LoudEnergies()
            loud.add(block.speaker_ids, block.offsets, block.energy, block.scored())
            is_speech = speech_targets(
                block, self.rows, self.lag_frames, loud.quantiles(), speech_range_db
            )
        return slice_masks(block.offsets, self.rows, names, medial, is_speech)


def index_targets(
    block: LatentBlock, part_of: Mapping[str, str], window_frames: int, lag_frames: int,
    longest_lag: int, maximum: int,
) -> LawTargets:  # fmt: skip
    """Index the targets of a block at a lag, evenly thinned to at most `maximum` of each part."""
    rows = targets_of(block, window_frames, max(longest_lag, lag_frames))
    utterance = windows.utterance_of_rows(block.offsets, rows)
    parts = np.array([PARTS.index(part_of[str(name)]) for name in block.utterance_ids], np.int8)
    kept = [_thinned(np.flatnonzero(parts[utterance] == n), maximum) for n in range(len(PARTS))]
    chosen = np.sort(np.concatenate(kept))
    rows, utterance = rows[chosen], utterance[chosen]
    names, speakers = np.unique(block.speaker_ids.astype(str), return_inverse=True)
    return LawTargets(
        block, rows, parts[utterance], speakers[utterance].astype(np.int32), names, utterance,
        lag_frames, window_frames,
    )  # fmt: skip


def _thinned(items: np.ndarray, maximum: int) -> np.ndarray:
    if len(items) <= maximum:
        return items
    return items[(np.arange(maximum) * len(items)) // maximum]


class Whitening(NamedTuple):
    """From a value to y, one map for each fold of train speakers and one for all others.

    Attributes:
        target: `position` or `delta`.
        centre: Subtracted from every frame of a context, [D].
        intercepts: [F + 1, D]; the last is fitted on all of train.
        weights: [F + 1, W, D, D]; W = 0 without a base.
        inverse_scale: From residuals to y, [D, D].
        noise_fraction: Share of a frame's SD that is noise.
        frame_sd: SD of the train frames, [D].
        ridge: The chosen ridge, relative to the mean variance; 0 without a base.
    """

    target: str
    centre: np.ndarray
    intercepts: np.ndarray
    weights: np.ndarray
    inverse_scale: np.ndarray
    noise_fraction: float
    frame_sd: np.ndarray
    ridge: float

    @property
    def num_folds(self) -> int:
        """F."""
        return len(self.intercepts) - 1

    @property
    def floor(self) -> np.ndarray:
        """SD that the noise alone has in each unit of y, [D]."""
        noise = self.noise_fraction * self.frame_sd
        return np.maximum(np.linalg.norm(self.inverse_scale * noise[:, None], axis=0), 1e-6)

    def y(self, targets: LawTargets) -> np.ndarray:
        """Return all targets in the units of the bank, [M, D], float32."""
        residuals = np.empty((len(targets.rows), len(self.centre)), np.float32)
        fold = folds_of(targets, self.num_folds)
        for number in range(self.num_folds + 1):
            own = np.flatnonzero(fold == number)
            residuals[own] = self._residuals(targets, targets.rows[own], number)
        return (residuals @ self.inverse_scale).astype(np.float32)

    def _residuals(self, targets: LawTargets, rows: np.ndarray, number: int) -> np.ndarray:
        found = values(targets.block.frames, rows, self.target) - self.intercepts[number]
        return found - linear_part(targets, rows, self.centre, self.weights[number])


def linear_part(
    targets: LawTargets, rows: np.ndarray, centre: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the weighted context of some rows, [m, D]; 0 without weights [W, D, D]."""
    if len(weights) == 0 or len(rows) == 0:
        return np.zeros((len(rows), len(centre)), np.float32)
    frames = targets.block.frames
    total = np.zeros((len(rows), len(centre)), np.float32)
    narrow, middle = weights.astype(np.float32), centre.astype(np.float32)
    oldest = windows.context_start(rows, targets.lag_frames, len(weights))
    for step, weight in enumerate(narrow):
        total += (frames[oldest + step] - middle) @ weight
    return total


def values(frames: np.ndarray, rows: np.ndarray, target: str) -> np.ndarray:
    """Return the positions or the steps of target rows, [m, D]."""
    return windows.delta(frames, rows) if target == "delta" else frames[rows]


def folds_of(targets: LawTargets, num_folds: int) -> np.ndarray:
    """Return which fit serves each target, [M]: a train speaker's fold; F for all others."""
    fold = np.full(len(targets.rows), num_folds)
    if num_folds == 0:
        return fold
    is_train = targets.part == PARTS.index(TRAIN)
    fold[is_train] = fold_of_speakers(targets, num_folds)[targets.speaker[is_train]]
    return fold


def fold_of_speakers(targets: LawTargets, num_folds: int) -> np.ndarray:
    """Return the fold of each speaker, [S], in turn in the order of a hash of the name.

    Raises:
        ValueError: Fewer train speakers than folds.
    """
    train = np.unique(targets.speaker[targets.part == PARTS.index(TRAIN)])
    if len(train) < num_folds:
        raise ValueError(
            f"learned_keys.num_folds: {len(train)} train speakers cannot be held out in "
            f"{num_folds} folds; lower it"
        )
    order = sorted(train, key=lambda one: (checksum(str(targets.speaker_ids[one])), one))
    fold = np.full(len(targets.speaker_ids), num_folds)
    fold[order] = np.arange(len(order)) % num_folds
    return fold


def fit_whitening(
    targets: LawTargets, part_of: Mapping[str, str], aim: Aim, ridges: Sequence[float],
    num_folds: int, noise_fraction: float,
) -> Whitening:  # fmt: skip
    """Fit what turns targets into y on train, the ridge chosen on the choice part.

    Args:
        targets: Indexed targets.
        part_of: Part of each utterance id.
        aim: Target, base and lag.
        ridges: Ridges to choose from, relative to the mean variance of the context.
        num_folds: Folds of train speakers.
        noise_fraction: Share of a frame's SD that is noise.
    """
    block = targets.block
    frames = block.frames[targets.rows[targets.of_part(TRAIN)]]
    centre = frames.mean(0, dtype=np.float64)
    frame_sd = frames.std(0, dtype=np.float64)
    if aim.base == "none":
        value = values(block.frames, targets.rows[targets.of_part(TRAIN)], aim.target)
        sd = value.std(0, dtype=np.float64)
        sd = np.maximum(sd, SMALLEST_SD * max(float(sd.max()), np.finfo(float).tiny))
        mean = value.mean(0, dtype=np.float64)
        empty = np.empty((1, 0, len(sd), len(sd)))
        return Whitening(
            aim.target, centre, mean[None], empty, np.diag(1 / sd), noise_fraction, frame_sd, 0.0
        )
    fold = fold_of_speakers(targets, num_folds)
    moments = [_moments(targets, part_of, aim, centre, fold, out) for out in range(num_folds + 1)]
    ridge = _chosen_ridge(targets, aim, centre, moments[-1], ridges)
    fits = [_linear(one, ridge, targets, centre) for one in moments]
    raw = Whitening(
        aim.target, centre, np.stack([fit[0] for fit in fits]), np.stack([fit[1] for fit in fits]),
        np.eye(len(centre)), noise_fraction, frame_sd, ridge,
    )  # fmt: skip
    residuals = raw.y(targets)[targets.of_part(TRAIN)].astype(np.float64)
    return raw._replace(inverse_scale=_inverse_root(residuals.T @ residuals / len(residuals)))


class _Fit(NamedTuple):
    """Moments of contexts, and the mean of the value."""

    moments: WindowMoments
    mean: np.ndarray


def _moments(
    targets: LawTargets, part_of: Mapping[str, str], aim: Aim, centre: np.ndarray,
    fold: np.ndarray, left_out: int,
) -> _Fit:  # fmt: skip
    """Add up the train contexts of all speakers but those of one fold."""
    width, dims = targets.window_frames, len(centre)
    accumulator, total, count = WindowAccumulator(width, dims, dims), np.zeros(dims), 0
    speaker_number = {name: number for number, name in enumerate(targets.speaker_ids)}
    for piece, rows in _train_pieces(targets, part_of):
        owner = windows.utterance_of_rows(piece.offsets, rows)
        numbers = np.array([speaker_number[str(name)] for name in piece.speaker_ids])
        rows = rows[fold[numbers[owner]] != left_out]
        if len(rows) == 0:
            continue
        frames = piece.frames.astype(np.float64) - centre
        value = values(piece.frames, rows, aim.target).astype(np.float64)
        accumulator.add(frames, piece.offsets, rows, aim.lag_frames, value)
        total += value.sum(0)
        count += len(rows)
    return _Fit(accumulator.moments(), total / max(count, 1))


def _train_pieces(
    targets: LawTargets, part_of: Mapping[str, str]
) -> Iterator[tuple[LatentBlock, np.ndarray]]:
    for piece in split_block(targets.block, PIECE_FRAMES):
        rows = targets_of(piece, targets.window_frames, targets.lag_frames)
        owner = windows.utterance_of_rows(piece.offsets, rows)
        is_train = np.array([part_of[str(name)] == TRAIN for name in piece.utterance_ids])
        yield piece, rows[is_train[owner]]


def _linear(
    fit: _Fit, ridge: float, targets: LawTargets, centre: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return intercept [D] and weights [W, D, D] of a ridge regression."""
    weights = ridge_weights(fit.moments, ridge)
    intercept = fit.mean - fit.moments.mean @ weights
    return intercept, weights.reshape(targets.window_frames, len(centre), len(centre))


def _chosen_ridge(
    targets: LawTargets, aim: Aim, centre: np.ndarray, fit: _Fit, ridges: Sequence[float]
) -> float:
    rows = targets.rows[targets.of_part(targets.choice_part)]
    value = values(targets.block.frames, rows, aim.target).astype(np.float64)

    def squares(ridge: float) -> float:
        intercept, weights = _linear(fit, ridge, targets, centre)
        residual = value - intercept - linear_part(targets, rows, centre, weights)
        return float((residual**2).sum())

    return min(sorted(ridges), key=squares)


def _inverse_root(covariance: np.ndarray) -> np.ndarray:
    """Return the symmetric inverse square root, [D, D]; directions without variance are floored."""
    variances, basis = np.linalg.eigh(covariance)
    least = max(SMALLEST_SD**2 * float(variances.max()), np.finfo(float).tiny)
    return (basis / np.sqrt(np.maximum(variances, least))) @ basis.T
