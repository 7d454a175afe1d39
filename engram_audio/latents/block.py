"""A block of latents in memory: the unit that every analysis streams over.

Shapes: N frames, D latent dimensions, U utterances.
"""

from collections.abc import Callable, Collection, Iterator
from typing import NamedTuple

import numpy as np

from engram_audio.latents.scored import repeated_frames


class LatentBlock(NamedTuple):
    """Whole utterances, one after the other, those of one speaker adjacent.

    Attributes:
        frames: Latents, shape [N, D], float32.
        energy: RMS of the waveform over the samples of each frame, shape [N], float32.
        offsets: Utterance u holds frames `offsets[u]:offsets[u + 1]`, shape [U + 1], int64.
        utterance_ids: Shape [U], strings.
        speaker_ids: Shape [U], strings.
        is_scored: Which frames decide (`latents/scored.py`), bool, shape [N]; None where nobody
            has looked, and then only repeated frames do not.
    """

    frames: np.ndarray
    energy: np.ndarray
    offsets: np.ndarray
    utterance_ids: np.ndarray
    speaker_ids: np.ndarray
    is_scored: np.ndarray | None = None

    def scored(self) -> np.ndarray:
        """Return which frames decide, bool, shape [N]."""
        if self.is_scored is not None:
            return self.is_scored
        return ~repeated_frames(self.frames, self.offsets)


# A restartable stream of blocks; each call begins again at the first utterance.
BlockSource = Callable[[], Iterator[LatentBlock]]


def cached(source: BlockSource) -> BlockSource:
    """Return the same stream, kept in memory."""
    blocks = list(source())
    return lambda: iter(blocks)


def concatenate_blocks(blocks: list[LatentBlock]) -> LatentBlock:
    """Join blocks into one.

    Raises:
        ValueError: The list is empty.
    """
    if not blocks:
        raise ValueError("no blocks to concatenate")
    sizes = np.concatenate([np.diff(block.offsets) for block in blocks])
    return LatentBlock(
        frames=np.concatenate([block.frames for block in blocks]),
        energy=np.concatenate([block.energy for block in blocks]),
        offsets=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        utterance_ids=np.concatenate([block.utterance_ids for block in blocks]),
        speaker_ids=np.concatenate([block.speaker_ids for block in blocks]),
        is_scored=np.concatenate([block.scored() for block in blocks]),
    )


def drop_utterances(block: LatentBlock, numbers: Collection[int]) -> LatentBlock:
    """Return a block without the utterances of these numbers; the block itself where none is."""
    if not numbers:
        return block
    sizes = np.diff(block.offsets)
    is_kept = ~np.isin(np.arange(len(sizes)), list(numbers))
    rows = np.repeat(is_kept, sizes)
    return LatentBlock(
        frames=block.frames[rows],
        energy=block.energy[rows],
        offsets=np.concatenate([[0], np.cumsum(sizes[is_kept])]).astype(np.int64),
        utterance_ids=block.utterance_ids[is_kept],
        speaker_ids=block.speaker_ids[is_kept],
    )


def some_utterances(block: LatentBlock, first: int, stop: int) -> LatentBlock:
    """Return utterances `first` to `stop` of a block, as views of its rows."""
    rows = slice(int(block.offsets[first]), int(block.offsets[stop]))
    return LatentBlock(
        frames=block.frames[rows],
        energy=block.energy[rows],
        offsets=block.offsets[first : stop + 1] - block.offsets[first],
        utterance_ids=block.utterance_ids[first:stop],
        speaker_ids=block.speaker_ids[first:stop],
        is_scored=block.scored()[rows],
    )


def split_block(block: LatentBlock, num_frames: int) -> Iterator[LatentBlock]:
    """Yield a block as views of whole utterances, each piece as small as fits `num_frames`."""
    first, block = 0, block._replace(is_scored=block.scored())
    while first < len(block.utterance_ids):
        limit = block.offsets[first] + num_frames
        stop = max(int(np.searchsorted(block.offsets, limit, side="right")) - 1, first + 1)
        yield some_utterances(block, first, stop)
        first = stop
