"""Exact predictors: they are injected into every metric, so that a wrong number is blamed rightly.

An oracle knows the world's equations and parameters and sees the whole utterance up to t - lag.
Shapes: M targets, D dimensions, S samples.
"""

import itertools
from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from engram_audio.calibration.predictive import Predictive
from engram_audio.latents.block import LatentBlock
from engram_audio.windows import utterance_of_rows

Space = Literal["delta", "position"]


class Task(NamedTuple):
    """Targets of one speaker, in float64.

    Attributes:
        speaker_id: The speaker.
        frames: Shape [N, D].
        lengths: Frames of each utterance, shape [U].
        position: Frame number in its utterance of each row, shape [N].
        targets: Rows of `frames`, shape [M].
        lag_frames: k, or None for the law without any context.
        space: Whether delta_t or x_t is predicted.
    """

    speaker_id: str
    frames: np.ndarray
    lengths: np.ndarray
    position: np.ndarray
    targets: np.ndarray
    lag_frames: int | None
    space: Space

    def newest(self) -> np.ndarray:
        """Return the rows of the newest context frames, shape [M]."""
        assert self.lag_frames is not None
        return self.targets - self.lag_frames

    def values(self) -> np.ndarray:
        """Return what happened: delta_t or x_t, shape [M, D]."""
        values = self.frames[self.targets]
        return values - self.frames[self.targets - 1] if self.space == "delta" else values


class Oracle(ABC):
    """Exact predictor of one world; works speaker by speaker, so memory is one speaker's."""

    @abstractmethod
    def predict(self, task: Task) -> Predictive:
        """Return the law of the task's targets.

        Raises:
            NotImplementedError: This law has no exact form (for example x_t of a walk, which has no
                stationary law).
        """

    def log_density(
        self, block: LatentBlock, targets: np.ndarray, lag_frames: int, space: Space = "delta"
    ) -> np.ndarray:
        """Return log p(target | all frames up to t - lag), nats, shape [M].

        Args:
            block: Whole utterances, those of a speaker adjacent.
            targets: Ascending block rows; each needs `lag_frames` frames before it.
            lag_frames: k >= 1.
            space: `delta` (x_t - x_{t-1}) or `position` (x_t).
        """
        return self._log_density(block, targets, lag_frames, space)

    def log_marginal(
        self, block: LatentBlock, targets: np.ndarray, space: Space = "delta"
    ) -> np.ndarray:
        """Return log p(target) without context, nats, shape [M]."""
        return self._log_density(block, targets, None, space)

    def _log_density(
        self, block: LatentBlock, targets: np.ndarray, lag_frames: int | None, space: Space
    ) -> np.ndarray:
        parts = [
            self.predict(task).log_density(task.values())
            for task in speaker_tasks(block, targets, lag_frames, space)
        ]
        return np.concatenate(parts) if parts else np.empty(0)

    def mean(
        self, block: LatentBlock, targets: np.ndarray, lag_frames: int, space: Space = "delta"
    ) -> np.ndarray:
        """Return the conditional means, shape [M, D]."""
        parts = [
            self.predict(task).mean() for task in speaker_tasks(block, targets, lag_frames, space)
        ]
        return np.concatenate(parts) if parts else np.empty((0, block.frames.shape[1]))

    def sample(
        self,
        block: LatentBlock,
        targets: np.ndarray,
        lag_frames: int,
        generator: np.random.Generator,
        num_samples: int,
        space: Space = "delta",
    ) -> np.ndarray:
        """Return samples of the targets given the context, shape [S, M, D]."""
        parts = [
            self.predict(task).sample(generator, num_samples)
            for task in speaker_tasks(block, targets, lag_frames, space)
        ]
        empty = np.empty((num_samples, 0, block.frames.shape[1]))
        return np.concatenate(parts, axis=1) if parts else empty


def speaker_tasks(
    block: LatentBlock, targets: np.ndarray, lag_frames: int | None, space: Space
) -> Iterator[Task]:
    """Split targets into tasks of one speaker each, in order.

    Raises:
        ValueError: A target lacks the frames that its lag needs.
    """
    utterance = utterance_of_rows(block.offsets, targets)
    if np.any(targets - block.offsets[utterance] < (lag_frames or 1)):
        raise ValueError(f"a target has fewer than {lag_frames or 1} frames before it")
    changes = np.flatnonzero(block.speaker_ids[1:] != block.speaker_ids[:-1]) + 1
    edges = np.concatenate([[0], changes, [len(block.speaker_ids)]])
    for first, last in itertools.pairwise(edges.tolist()):
        low, high = int(block.offsets[first]), int(block.offsets[last])
        begin, end = np.searchsorted(targets, [low, high])
        if begin == end:
            continue
        lengths = np.diff(block.offsets[first : last + 1])
        starts = np.repeat(block.offsets[first:last] - low, lengths)
        yield Task(
            speaker_id=str(block.speaker_ids[first]),
            frames=block.frames[low:high].astype(np.float64),
            lengths=lengths,
            position=np.arange(high - low) - starts,
            targets=targets[begin:end] - low,
            lag_frames=lag_frames,
            space=space,
        )
