"""In which order the utterances of all shards are read: the same, however they were dealt.

Speakers come in the order of their names, across shards. So a study of one shard and one of ten
have the same blocks to the bit. A single shard is read as it was written.
"""

import heapq
import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.latents.block import LatentBlock, concatenate_blocks, some_utterances


class Place(NamedTuple):
    """Where an utterance lies: its shard, its number there, and its frames."""

    speaker_id: str
    shard: int
    number: int
    num_frames: int


def reading_order(shards: Iterable[tuple[Sequence[str], Sequence[int]]]) -> list[Place]:
    """Return the places of all utterances.

    Args:
        shards: Speaker and frames of each utterance, in the order of the shard. It holds whole
            speakers, in the order of their names.
    """
    rows = (
        [
            Place(str(speaker), shard, number, int(frames))
            for number, (speaker, frames) in enumerate(zip(*columns, strict=True))
        ]
        for shard, columns in enumerate(shards)
    )
    return list(heapq.merge(*rows, key=lambda place: place.speaker_id))


def in_blocks(places: Sequence[Place], block_frames: int) -> Iterator[list[Place]]:
    """Yield places a block at a time; it ends with the utterance that reaches so many frames."""
    sizes = np.array([place.num_frames for place in places], np.int64)
    block_of = (np.cumsum(sizes) - sizes) // max(block_frames, 1)
    pairs = zip(block_of, places, strict=True)
    for _, block in itertools.groupby(pairs, lambda pair: pair[0]):
        yield [place for _, place in block]


def numbers_by_shard(places: Iterable[Place]) -> dict[int, np.ndarray]:
    """Return the numbers of utterances in each shard, in order."""
    numbers: dict[int, list[int]] = {}
    for place in places:
        numbers.setdefault(place.shard, []).append(place.number)
    return {shard: np.array(own) for shard, own in numbers.items()}


def joined(read: Mapping[int, LatentBlock], places: Iterable[Place]) -> LatentBlock:
    """Return one block of what was read of each shard, each utterance in its place."""
    if len(read) == 1:
        return next(iter(read.values()))
    pieces, taken = [], dict.fromkeys(read, 0)
    for shard, run in itertools.groupby(places, lambda place: place.shard):
        first = taken[shard]
        taken[shard] += sum(1 for _ in run)
        pieces.append(some_utterances(read[shard], first, taken[shard]))
    return concatenate_blocks(pieces)
