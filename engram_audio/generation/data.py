"""Sequences of a block for generators: frames, codes, and whose codes a foreign arm reads.

Shapes: N frames of a block, U utterances used, B chunks, T frames of a chunk, D dimensions.
"""

import functools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.generation.condition_data import Conditions
from engram_audio.generation.looking_back import key_windows
from engram_audio.generation.prompts import FIXED_SHARE
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.keys.fitted import FittedKey
from engram_audio.latents.chunks import ChunkRows, Chunks

CODED_FRAMES = 8192  # at a time
NUM_FOLDS = 2  # of train speakers, for rows that must not know their own target


class Sequences(NamedTuple):
    """A batch of chunks.

    Attributes:
        frames: Shape [B, T, D].
        rows: Their block rows, [B, T].
        is_scored: Which frames are targets that decide, bool, [B, T].
    """

    frames: Tensor
    rows: Tensor
    is_scored: Tensor


class GeneratorData:
    """Chunks of some utterances of a block, with all that is looked up by row.

    Attributes:
        conditions: Texts and speaker prompts; None where nothing is told.
    """

    def __init__(
        self, frames: Tensor, offsets: np.ndarray, utterances: np.ndarray, is_scored: np.ndarray,
        chunk_frames: int, burn_in_frames: int, maximum_frames: int | None = None,
        speakers: np.ndarray | None = None,
    ) -> None:  # fmt: skip
        """Index the chunks.

        Args:
            frames: Latents, [N, D], float32.
            offsets: Utterance offsets, [all utterances + 1].
            utterances: Numbers of the utterances used, ascending, [U].
            is_scored: Which frames decide, bool, [N].
            chunk_frames: T.
            burn_in_frames: Frames at a chunk's head that are no targets.
            maximum_frames: Targets at most, in evenly spread chunks.
            speakers: Of all utterances of the block; without them there are no folds.
        """
        self.frames, self.offsets = frames, torch.from_numpy(np.asarray(offsets, dtype=np.int64))
        self.utterances = torch.from_numpy(np.asarray(utterances, dtype=np.int64))
        self._codes: tuple[FittedKey, Tensor] | None = None
        self._speakers = speakers
        self.conditions: Conditions | None = None
        self._chunks = Chunks(
            offsets, utterances, chunk_frames, burn_in_frames, is_scored, maximum_frames
        )

    def __len__(self) -> int:
        """How many chunks there are."""
        return len(self._chunks)

    def batch(self, items: Tensor, device: torch.device) -> Sequences:
        """Return the chunks of numbers `items`; rows stay on the CPU."""
        own: ChunkRows = self._chunks.of(items)
        frames = self.frames_of(own.rows, device)
        return Sequences(frames, own.rows, own.is_scored.to(device))

    def frames_of(self, rows: Tensor, device: torch.device) -> Tensor:
        """Return the frames of block rows [B, T], [B, T, D]."""
        return self.frames.index_select(0, rows.flatten()).view(*rows.shape, -1).to(device)

    def codes(self, key: KeyEncoder) -> Tensor:
        """Return the codes of all rows of the block, [N]; they are found once for a key."""
        if self._codes is None or self._codes[0] is not key.fitted:
            found = codes_of_rows(key, self.frames, self.offsets.numpy())
            self._codes = key.fitted, found
        return self._codes[1]

    def used_frames(self) -> Tensor:
        """Return the frames of all utterances used, [M, D]."""
        return self.frames.index_select(0, torch.cat([self._rows(u) for u in self.utterances]))

    def _rows(self, utterance: Tensor) -> Tensor:
        return torch.arange(int(self.offsets[utterance]), int(self.offsets[utterance + 1]))

    def rows_of_fold(self, fold: int) -> list[Tensor]:
        """Return the block rows of each utterance of the speakers of a fold."""
        return [self._rows(u) for u in self.utterances[self._folds == fold]]

    def folds(self, rows: Tensor) -> Tensor:
        """Return the fold of the speaker of each chunk of rows [B, T], [B]."""
        own = torch.searchsorted(self.offsets, rows[:, 0].contiguous(), right=True) - 1
        return self._folds[torch.searchsorted(self.utterances, own)]

    @functools.cached_property
    def _folds(self) -> Tensor:
        """The fold of each utterance used: its speaker's place in the order of names, [U].

        Raises:
            ValueError: One speaker alone leaves no other fold.
        """
        assert self._speakers is not None, "speakers were not given"
        own = np.asarray(self._speakers, dtype=str)[self.utterances.numpy()]
        names, place = np.unique(own, return_inverse=True)
        if len(names) < NUM_FOLDS:
            raise ValueError(
                f"rows that are means of other speakers need at least {NUM_FOLDS} train speakers; "
                f"found {len(names)}; add speakers, or drop arm SMd"
            )
        return torch.from_numpy(place % NUM_FOLDS)

    def foreign_rows(self, rows: Tensor, draws: Tensor | None = None) -> Tensor:
        """Return rows of another utterance at the same place in it, [B, T].

        A donor that is shorter begins again from its start.

        Args:
            rows: Rows of chunks, each of one utterance, [B, T].
            draws: Numbers in [0, 1) that choose the donor of each chunk, [B]; without them it is
                always the same.

        Raises:
            ValueError: There is one utterance only.
        """
        count = len(self.utterances)
        if count < 2:
            raise ValueError("one utterance alone has no other whose keys could be read")
        own = torch.searchsorted(self.offsets, rows[:, 0].contiguous(), right=True) - 1
        place = torch.searchsorted(self.utterances, own)
        if draws is None:
            draws = torch.full(place.shape, FIXED_SHARE)
        ahead = 1 + (draws * (count - 1)).long().clamp_max(count - 2)
        donor = self.utterances[(place + ahead) % count].unsqueeze(1)
        start, stop = self.offsets[donor], self.offsets[donor + 1]
        return start + (rows - self.offsets[own].unsqueeze(1)) % (stop - start)


@torch.no_grad()
def codes_of_rows(key: KeyEncoder, frames: Tensor, offsets: np.ndarray) -> Tensor:
    """Return the code of every row of a block, [N]; `num_codes` where a key is not whole yet."""
    reach = key.state_frames
    device = key.train_mean.device
    found = torch.full((len(frames),), key.num_codes)
    whole = key_windows(frames.unsqueeze(0), reach)[0]
    parts = [key.codes(part.to(device), 1)[:, 0].cpu() for part in whole.split(CODED_FRAMES)]
    if parts:
        found[reach - 1 :] = torch.cat(parts)
    rows = np.arange(len(frames))
    place = rows - np.asarray(offsets)[windows.utterance_of_rows(np.asarray(offsets), rows)]
    found[torch.from_numpy(place < reach - 1)] = key.num_codes
    return found
