"""Fixed noise on frames, so that no density can grow without bound where latents repeat a value.

Shapes: D dimensions.
"""

from collections.abc import Iterator

import numpy as np

from engram_audio.densities.reference import Reference
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.numerics.seeds import checksum_generator


def dequantization_sd(reference: Reference, fraction: float) -> np.ndarray:
    """Return the noise's SD, shape [D]: a share of the smaller of the position's and delta's SD.

    Of slow latents the position's SD says nothing about a step: a hundredth of it may be as large
    as what a step brings, and the noise then hides what is predicted.
    """
    return fraction * np.minimum(reference.frame_sd, reference.delta_sd)


def with_noise(block: LatentBlock, noise_sd: np.ndarray, seed: int) -> LatentBlock:
    """Add fixed dequantisation noise of SD `noise_sd` [D]; the same utterance, the same noise."""
    if not np.any(noise_sd):
        return block
    frames = np.array(block.frames, dtype=np.float32)
    for number, name in enumerate(block.utterance_ids):
        rows = slice(int(block.offsets[number]), int(block.offsets[number + 1]))
        generator = checksum_generator(seed, name)
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
