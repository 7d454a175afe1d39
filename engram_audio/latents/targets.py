"""Which frames are targets: apart from the block, so that index arithmetic reruns no extraction."""

from collections.abc import Mapping

import numpy as np

from engram_audio import windows
from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.slices import speech_levels, speech_mask


def targets_of(block: LatentBlock, window_frames: int, max_lag_frames: int) -> np.ndarray:
    """Return the rows of all targets, ascending, shape [M], int64: every fit and score.

    Args:
        block: Whole utterances.
        window_frames: W.
        max_lag_frames: The largest lag under comparison.
    """
    rows = windows.target_rows(block.offsets, window_frames, max_lag_frames)
    return rows[block.scored()[rows]]


def speech_targets(
    block: LatentBlock, targets: np.ndarray, lag_frames: int, loud: Mapping[str, float],
    range_db: float,
) -> np.ndarray:  # fmt: skip
    """Return whether the newest context frame of each target is speech, bool, [M].

    Args:
        block: Whole utterances.
        targets: Rows of the targets, [M].
        lag_frames: k.
        loud: 95th percentile of each speaker's energy; infinite where there are no energies.
        range_db: Decibels below it that still are speech.
    """
    levels = speech_levels(loud, block.speaker_ids, range_db)
    return speech_mask(block.offsets, block.energy, targets, lag_frames, levels)
