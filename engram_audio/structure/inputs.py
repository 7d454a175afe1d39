"""The stream that baselines are fitted on: frames less the train mean.

No baseline then sees a translation, and single-precision products stay accurate where the mean is
large.

Shapes: N frames of a block, D dimensions.
"""

from collections.abc import Iterator

import numpy as np

from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.structure.targets import TRAIN, FrameIndex


def less_train_mean(source: BlockSource, index: FrameIndex) -> BlockSource:
    """Return the same stream less the mean of the train frames that decide."""
    mean = _train_mean(source, index).astype(np.float32)

    def blocks() -> Iterator[LatentBlock]:
        for block in source():
            yield block._replace(frames=block.frames - mean)

    return blocks


def _train_mean(source: BlockSource, index: FrameIndex) -> np.ndarray:
    total, count = np.zeros(0), 0
    for number, block in enumerate(source()):
        is_train = np.repeat(index.part[number] == TRAIN, np.diff(block.offsets))
        own = block.frames[is_train & index.is_scored[number]]
        total = total if len(total) else np.zeros(block.frames.shape[1])
        total += own.sum(axis=0, dtype=np.float64)
        count += len(own)
    return total / max(count, 1)
