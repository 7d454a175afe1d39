"""The attainable: cells of what a linear model leaves of the target itself.

Cells are k-means of the residual on train. Their means come from the scored part, from speakers
other than the scored one (cross-fitted over folds of speakers). Means from train would fail to
transfer together with a key's, and hide the loss.

Shapes: m frames, D dimensions, P parts, F folds, E effective cells.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engram_audio.keys.stream import FeatureStream
from engram_audio.numerics.grouped import add_grouped
from engram_audio.numerics.kmeans import evenly
from engram_audio.structure.cells import Labeling
from engram_audio.structure.joint import fitting_cost, speaker_folds
from engram_audio.structure.linear_model import LinearModel
from engram_audio.structure.material import memory_bytes
from engram_audio.structure.scoring import ScoringPlan
from engram_audio.structure.speaker_sums import WITH_LINEAR, SpeakerSums, make_subspaces, squares
from engram_audio.structure.targets import PARTS, TRAIN

NUM_FOLDS = 4
FRAMES_PER_CELL = 64  # of train, on which the cells are fitted
ITERATIONS = 10


def oracle_features(plan: ScoringPlan) -> FeatureStream:
    """Return what the linear model leaves of the targets, [M, D]."""
    linear, targets = _linear_of(plan), plan.targets

    def residuals() -> Iterator[np.ndarray]:
        for block, rows, _ in targets.walk(plan.source):
            yield linear.residual(plan.normalization, block, rows)

    width = len(plan.normalization.mean)
    return FeatureStream(residuals, len(targets.part), width, memory_bytes(plan.section))


def oracle_sample(sample: np.ndarray, num_cells: int) -> np.ndarray:
    """Return at most 64 train residuals a cell, on which the cells are fitted."""
    return evenly(sample, FRAMES_PER_CELL * num_cells)


class _Folds(NamedTuple):
    """Fold of each speaker in each part, [P, S], and how many folds there are, [P]."""

    of_speaker: np.ndarray
    num_folds: np.ndarray


def _folds(plan: ScoringPlan) -> _Folds:
    targets = plan.targets
    group = targets.part.astype(np.int64) * plan.num_speakers + targets.speaker
    frames = np.bincount(group, minlength=len(PARTS) * plan.num_speakers)
    frames = frames.reshape(len(PARTS), plan.num_speakers)
    count = np.clip((frames > 0).sum(axis=1), 1, NUM_FOLDS)
    folds = [speaker_folds(own, int(num)) for own, num in zip(frames, count, strict=True)]
    return _Folds(np.stack(folds), count)


def score_oracle(plan: ScoringPlan, labeling: Labeling) -> SpeakerSums:
    """Score the cells of the residuals on all parts but train.

    A frame whose cell holds no frame of another fold counts as excluded: the linear model alone
    answers.

    Args:
        plan: Slice, linear model and settings.
        labeling: Cells of what the linear model leaves of the targets.
    """
    folds = _folds(plan)
    counts, sums = _sums_by_fold(plan, labeling, folds)
    subspaces = make_subspaces(plan.normalization, plan.section.principal_subspaces)
    found = SpeakerSums(plan.num_speakers, len(subspaces.names), ("sse_zero", *WITH_LINEAR))
    for frames in _frames(plan, labeling, folds):
        part, fold, code = frames.part - 1, frames.fold, frames.code
        others = counts[part, :, code].sum(axis=1) - counts[part, fold, code]
        is_excluded = (code == labeling.num_effective) | (others == 0)
        total = sums[part, :, code].sum(axis=1) - sums[part, fold, code]
        mean = total / np.maximum(others, 1)[:, None]
        mean[is_excluded] = 0.0
        cost = np.where(is_excluded, 0.0, fitting_cost(others))
        before, after = (squares(own, subspaces) for own in (frames.left, frames.left - mean))
        found.add_frames(frames.group)
        found.add_excluded(frames.group[is_excluded])
        found.add("sse_zero", squares(frames.z, subspaces), frames.group)
        found.add("sse_linear", before, frames.group)
        found.add("sse_joint", after, frames.group)
        found.add("cost_joint", after * cost[:, None], frames.group)
    return found


def _sums_by_fold(
    plan: ScoringPlan, labeling: Labeling, folds: _Folds
) -> tuple[np.ndarray, np.ndarray]:
    """Return counts [P - 1, F, E + 1] and sums of residuals [P - 1, F, E + 1, D] but of train."""
    shape = (len(PARTS) - 1, int(folds.num_folds.max()), labeling.num_effective + 1)
    counts = np.zeros(shape, dtype=np.int64)
    sums = np.zeros((*shape, len(plan.normalization.mean)))
    for frames in _frames(plan, labeling, folds):
        cell = ((frames.part - 1) * shape[1] + frames.fold) * shape[2] + frames.code
        counts += np.bincount(cell, minlength=counts.size).reshape(shape)
        add_grouped(sums.reshape(-1, sums.shape[-1]), frames.left, cell)
    return counts, sums


class _Frames(NamedTuple):
    """Frames of a chunk: z and what the linear model leaves of it, and where they belong, [m]."""

    z: np.ndarray
    left: np.ndarray
    part: np.ndarray
    fold: np.ndarray
    code: np.ndarray
    group: np.ndarray


def _frames(plan: ScoringPlan, labeling: Labeling, folds: _Folds) -> Iterator[_Frames]:
    linear = _linear_of(plan)
    for chunk in plan.chunks(plan.targets.part != TRAIN):
        part = plan.targets.part[chunk.place].astype(np.int64)
        speaker = plan.targets.speaker[chunk.place]
        left = chunk.z - chunk.context @ linear.slope
        yield _Frames(
            chunk.z, left, part, folds.of_speaker[part, speaker], labeling.codes[chunk.place],
            part * plan.num_speakers + speaker,
        )  # fmt: skip


def _linear_of(plan: ScoringPlan) -> LinearModel:
    if plan.linear is None:
        raise ValueError("the oracle needs a linear model")
    return plan.linear
