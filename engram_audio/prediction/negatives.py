"""Other futures of the same utterance and of the same speaker, by index arithmetic.

Shapes: M targets, T candidate rows of the block, N negatives.
"""

import numpy as np

from engram_audio import windows
from engram_audio.latents.block import LatentBlock


def same_utterance(
    block: LatentBlock,
    all_targets: np.ndarray,
    chosen: np.ndarray,
    count: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw other targets of each chosen target's utterance.

    Returns:
        Rows, shape [M, N], and whether the utterance has another target, shape [M].
    """
    groups = windows.utterance_of_rows(block.offsets, all_targets)
    own = windows.utterance_of_rows(block.offsets, chosen)
    return _draw(all_targets, groups, own, chosen, count, generator)


def same_speaker(
    block: LatentBlock,
    all_targets: np.ndarray,
    chosen: np.ndarray,
    count: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Draw other targets of each chosen target's speaker (speakers are adjacent in a block)."""
    names = np.asarray(block.speaker_ids, dtype=str)
    speaker = np.concatenate([[0], np.cumsum(names[1:] != names[:-1])])
    groups = speaker[windows.utterance_of_rows(block.offsets, all_targets)]
    own = speaker[windows.utterance_of_rows(block.offsets, chosen)]
    return _draw(all_targets, groups, own, chosen, count, generator)


def _draw(
    all_targets: np.ndarray,
    groups: np.ndarray,
    own: np.ndarray,
    chosen: np.ndarray,
    count: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    first = np.searchsorted(groups, own, side="left")
    size = np.searchsorted(groups, own, side="right") - first
    position = np.searchsorted(all_targets, chosen) - first
    possible = size > 1
    # 1 .. size - 1 steps onwards, around the group: never the target itself
    steps = 1 + np.floor(
        generator.random((len(chosen), count)) * np.maximum(size - 1, 1)[:, None]
    ).astype(np.int64)
    rows = first[:, None] + (position[:, None] + steps) % np.maximum(size, 1)[:, None]
    return all_targets[np.where(possible[:, None], rows, first[:, None])], possible
