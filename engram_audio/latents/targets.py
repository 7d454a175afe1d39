"""Which frames are targets: apart from the block, so that index arithmetic reruns no extraction."""

import numpy as np

from engram_audio import windows
from engram_audio.latents.block import LatentBlock


def targets_of(block: LatentBlock, window_frames: int, max_lag_frames: int) -> np.ndarray:
    """Return the rows of all targets, ascending, shape [M], int64: every fit and score.

    Args:
        block: Whole utterances.
        window_frames: W.
        max_lag_frames: The largest lag under comparison.
    """
    rows = windows.target_rows(block.offsets, window_frames, max_lag_frames)
    return rows[block.scored()[rows]]
