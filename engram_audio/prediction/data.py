"""Batches of contexts and targets from a block in memory (or memory-mapped), by index arithmetic.

A context is W consecutive rows, so a strided view of the frames has every context as one row, and
`index_select` on it copies just the rows of a batch: 3x faster than a Python loop, and no window
is ever stored twice.

Shapes: N frames, M targets, B batch, W window, D dimensions, U utterances.
"""

import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.prediction.base import Batch


class WindowData:
    """Targets of one block at one lag."""

    def __init__(
        self,
        frames: Tensor,
        targets: np.ndarray,
        lag_frames: int,
        window_frames: int,
        speaker_means: Tensor,
        utterance_rows: np.ndarray,
    ) -> None:
        """Index the targets.

        Args:
            frames: Shape [N, D], float32, contiguous; a memory map stays on disk.
            targets: Block rows, shape [M].
            lag_frames: k.
            window_frames: W.
            speaker_means: One row per utterance of the block, shape [U, D].
            utterance_rows: Utterance number of each target, shape [M].
        """
        self.frames = frames
        self.lag_frames, self.window_frames = lag_frames, window_frames
        self.targets = torch.from_numpy(np.ascontiguousarray(targets, dtype=np.int64))
        oldest = windows.context_start(targets, lag_frames, window_frames)
        self._starts = torch.from_numpy(np.ascontiguousarray(oldest, dtype=np.int64))
        self._speaker_means = speaker_means
        self._utterances = torch.from_numpy(np.ascontiguousarray(utterance_rows, dtype=np.int64))
        num_frames, num_dims = frames.shape
        count = max(num_frames - window_frames + 1, 0)
        self._windows = frames.as_strided((count, window_frames * num_dims), (num_dims, 1))

    def __len__(self) -> int:
        """M."""
        return len(self.targets)

    def batch(self, items: Tensor, device: torch.device) -> Batch:
        """Return the batch of target numbers `items`, shape [B], on the device."""
        targets = self.targets[items]
        context = self._windows.index_select(0, self._starts[items])
        shape = (len(items), self.window_frames, self.frames.shape[1])
        parts = (
            context.view(shape),
            self.frames.index_select(0, targets - 1),
            self.frames.index_select(0, targets),
            self._speaker_means.index_select(0, self._utterances[items]),
        )
        return Batch(*(part.to(device) for part in parts))


class SpeakerMeans(NamedTuple):
    """Mean frame of each utterance's speaker over the speaker's other utterances.

    The scored utterance itself is left out, so that the null knows no future of its own; a speaker
    with one utterance has the train mean.
    """

    row_of: dict[str, int]
    means: np.ndarray

    def of(self, utterance_ids: np.ndarray) -> np.ndarray:
        """Return rows of utterances, shape [U, D], float32."""
        return self.means[[self.row_of[str(name)] for name in utterance_ids]]


def speaker_means(
    utterance_ids: np.ndarray,
    speaker_ids: np.ndarray,
    sums: np.ndarray,
    counts: np.ndarray,
    fallback: np.ndarray,
) -> SpeakerMeans:
    """Build leave-one-utterance-out speaker means of per-utterance sums [U, D] and counts [U]."""
    _, speaker = np.unique(speaker_ids.astype(str), return_inverse=True)
    total = np.zeros((speaker.max() + 1, sums.shape[1]))
    np.add.at(total, speaker, sums)
    frames = np.bincount(speaker, weights=counts)
    others = frames[speaker] - counts
    means = (total[speaker] - sums) / np.maximum(others, 1)[:, None]
    means[others == 0] = fallback
    row_of = {str(name): row for row, name in enumerate(utterance_ids)}
    return SpeakerMeans(row_of, means.astype(np.float32))


def with_noise(block: LatentBlock, noise_sd: np.ndarray, seed: int) -> LatentBlock:
    """Add fixed dequantisation noise of SD `noise_sd` [D]; the same utterance, the same noise."""
    if not np.any(noise_sd):
        return block
    frames = np.array(block.frames, dtype=np.float32)
    for number, name in enumerate(block.utterance_ids):
        rows = slice(int(block.offsets[number]), int(block.offsets[number + 1]))
        generator = np.random.default_rng([seed, zlib.crc32(str(name).encode())])
        noise = generator.standard_normal(frames[rows].shape, dtype=np.float32)
        frames[rows] += noise * noise_sd.astype(np.float32)
    # noise hides what was repeated: the mark is that of the frames before it
    return block._replace(frames=frames, is_scored=block.scored())


def noisy_source(source: BlockSource, noise_sd: np.ndarray, seed: int) -> BlockSource:
    """Return the stream with `with_noise` applied to every block."""

    def blocks() -> Iterator[LatentBlock]:
        for block in source():
            yield with_noise(block, noise_sd, seed)

    return blocks


def window_data(
    block: LatentBlock,
    targets: np.ndarray,
    lag_frames: int,
    window_frames: int,
    means: SpeakerMeans,
) -> WindowData:
    """Index chosen targets (block rows) of a block."""
    return WindowData(
        torch.from_numpy(np.ascontiguousarray(block.frames, dtype=np.float32)),
        targets,
        lag_frames,
        window_frames,
        torch.from_numpy(means.of(block.utterance_ids)),
        windows.utterance_of_rows(block.offsets, targets),
    )


def thin(rows: np.ndarray, maximum: int) -> np.ndarray:
    """Return at most `maximum` rows, evenly spaced, always the same."""
    if len(rows) <= maximum:
        return rows
    return rows[np.linspace(0, len(rows) - 1, maximum).round().astype(np.int64)]
