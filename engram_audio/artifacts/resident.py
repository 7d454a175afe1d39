"""One block for training: in memory when it fits, else a memory map on local disk."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np

from engram_audio.artifacts.latents import LatentStore
from engram_audio.latents.block import BlockSource, LatentBlock

GIB = 1 << 30
KEPT_BYTES = 1 << 28  # of the frames of a stream that is read many times


def block_source(store: LatentStore, utterance_ids: set[str], block_frames: int) -> BlockSource:
    """Return the restartable stream of the chosen utterances."""
    return lambda: store.blocks(utterance_ids, block_frames)


def kept_source(source: BlockSource, num_frames: int, num_dims: int) -> BlockSource:
    """Return the same stream, read once where it is small: a stream is scored many times over.

    Args:
        source: Blocks of whole utterances.
        num_frames: At least as many frames as the stream has.
        num_dims: D.
    """
    if num_frames * num_dims * 4 > KEPT_BYTES:
        return source
    kept: list[LatentBlock] = []

    def blocks() -> Iterator[LatentBlock]:
        if not kept:
            kept.extend(source())
        return iter(kept)

    return blocks


@contextmanager
def resident_block(
    source: BlockSource, num_frames: int, num_dims: int, memory_gib: float
) -> Iterator[LatentBlock]:
    """Join a stream into one block, and free local disk at the end of the `with`.

    Args:
        source: Blocks of whole utterances.
        num_frames: At least as many frames as the stream has.
        num_dims: D.
        memory_gib: Frames larger than this go to a memory-mapped file in the temporary folder
            (TMPDIR: a node's local disk).

    Yields:
        The block.
    """
    shape = (num_frames, num_dims)
    is_small = num_frames * num_dims * 4 <= memory_gib * GIB
    place = nullcontext() if is_small else tempfile.TemporaryDirectory(prefix="engram-frames-")
    with place as folder:
        frames: np.ndarray
        if folder is None:
            frames = np.empty(shape, dtype=np.float32)
        else:
            path = Path(folder) / "frames.npy"
            frames = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape)
            path.unlink()  # the mapping keeps it, so that even a killed process leaves no frames
        yield _joined(source, frames)


def _joined(source: BlockSource, frames: np.ndarray) -> LatentBlock:
    """Fill the frames, [N, D], with a stream and return it as one block."""
    energy, sizes, utterances, speakers, is_scored, filled = [], [], [], [], [], 0
    for block in source():
        stop = filled + len(block.frames)
        frames[filled:stop] = block.frames
        energy.append(block.energy)
        sizes.append(np.diff(block.offsets))
        utterances.append(block.utterance_ids)
        speakers.append(block.speaker_ids)
        is_scored.append(block.scored())
        filled = stop
    return LatentBlock(
        frames=frames[:filled],
        energy=np.concatenate(energy) if energy else np.empty(0, np.float32),
        offsets=np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
        if sizes
        else np.zeros(1, np.int64),
        utterance_ids=np.concatenate(utterances) if utterances else np.empty(0, object),
        speaker_ids=np.concatenate(speakers) if speakers else np.empty(0, object),
        is_scored=np.concatenate(is_scored) if is_scored else np.empty(0, bool),
    )
