"""Sequences of frames that sequence models are trained on, by index arithmetic.

Shapes: N frames of a block, U utterances, C chunks, B of them, T frames of a chunk.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio import windows


class ChunkRows(NamedTuple):
    """Block rows of chunks; a chunk that ends early repeats its last row.

    Attributes:
        rows: Shape [B, T].
        is_real: Which are frames of the chunk, bool, [B, T].
        is_scored: Which frames decide and follow the burn-in, bool, [B, T].
        utterances: The block's utterance that each is part of, int64, [B].
    """

    rows: Tensor
    is_real: Tensor
    is_scored: Tensor
    utterances: Tensor


class Chunks:
    """Chunks of some utterances of a block."""

    def __init__(
        self,
        offsets: np.ndarray,
        utterances: np.ndarray,
        chunk_frames: int,
        burn_in_frames: int,
        is_scored: np.ndarray,
        maximum_frames: int | None = None,
    ) -> None:
        """Index the chunks.

        Args:
            offsets: Utterance offsets, shape [U + 1].
            utterances: Numbers of the utterances used.
            chunk_frames: T; chunks start every T - burn-in frames, so that each frame after an
                utterance's own burn-in is scored once.
            burn_in_frames: Frames at a chunk's head that carry no loss.
            is_scored: Which frames decide, shape [N].
            maximum_frames: Scored frames at most, in evenly spread chunks.
        """
        starts, stops = windows.chunks(offsets, utterances, chunk_frames, burn_in_frames)
        if maximum_frames is not None:
            most = max(maximum_frames // max(chunk_frames - burn_in_frames, 1), 1)
            kept = np.linspace(0, len(starts) - 1, min(most, len(starts))).round().astype(int)
            starts, stops = starts[kept], stops[kept]
        owner = windows.utterance_of_rows(offsets, starts)
        self._utterances = torch.from_numpy(np.ascontiguousarray(owner, dtype=np.int64))
        self._is_scored = torch.from_numpy(np.ascontiguousarray(is_scored))
        self._starts, self._stops = torch.from_numpy(starts), torch.from_numpy(stops)
        self._chunk_frames, self._burn_in_frames = chunk_frames, burn_in_frames

    def __len__(self) -> int:
        """C."""
        return len(self._starts)

    def of(self, items: Tensor) -> ChunkRows:
        """Return the rows of the chunks of numbers `items`, [B]."""
        place = torch.arange(self._chunk_frames)
        rows = self._starts[items].unsqueeze(1) + place
        is_real = rows < self._stops[items].unsqueeze(1)
        rows = torch.minimum(rows, self._stops[items].unsqueeze(1) - 1)
        is_scored = is_real & (place >= self._burn_in_frames) & self._is_scored[rows]
        return ChunkRows(rows, is_real, is_scored, self._utterances[items])
