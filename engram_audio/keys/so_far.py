"""The mean of a speaker's frames so far: what centring may know at a frame, and no more.

m_s = (sum of the speaker's frames up to s) / (their number + pseudo-frames), of frames less the
train mean, so the first frames of a speaker are centred by little more than the train mean.
Frames that decide nothing (silence, repetitions) do not count. Utterances count in the order of
the stream. A mean over the whole recording would see the future: a pure random walk then seems
predictable.

A model that reads contexts carries the mean itself beside each frame, and goes on from there along
a free run, where every frame counts (`following` in `keys/encoder.py`).

Shapes: N frames of a block, D dimensions.
"""

from collections.abc import Mapping

import numpy as np

from engram_audio.latents.block import BlockSource, LatentBlock


class SpeakerSoFar:
    """Sums of each speaker's frames, updated block by block in the order of the stream."""

    def __init__(self, train_mean: np.ndarray, pseudo_frames: float) -> None:
        """Start before the first utterance."""
        self._train_mean, self._pseudo_frames = train_mean, pseudo_frames
        self._sums: dict[str, tuple[np.ndarray, int]] = {}

    def centres(self, block: LatentBlock) -> np.ndarray:
        """Return the shrunk mean so far at every frame, less the train mean, [N, D], float32.

        The frame itself counts. Call it once for each block, in the order of the stream.
        """
        centres = np.empty_like(block.frames)
        is_scored = block.scored()[:, None]
        for number, speaker in enumerate(block.speaker_ids):
            rows = slice(int(block.offsets[number]), int(block.offsets[number + 1]))
            own = (block.frames[rows] - self._train_mean).astype(np.float64) * is_scored[rows]
            before, count = self._sums.get(str(speaker), (np.zeros(own.shape[1]), 0))
            total = before + np.cumsum(own, axis=0)
            counts = count + np.cumsum(is_scored[rows])
            weight = np.maximum(self._pseudo_frames + counts, 1)  # 1 is of nothing counted yet
            centres[rows] = total / weight[:, None]
            if len(own):
                self._sums[str(speaker)] = total[-1], int(counts[-1])
        return centres


def means_before(source: BlockSource) -> dict[str, np.ndarray]:
    """Return the mean of the speaker's frames before each utterance, and their number, by id.

    Each is [D + 1], float64; zeros for the first utterance of a speaker.
    """
    found: dict[str, np.ndarray] = {}
    spoken: dict[str, np.ndarray] = {}
    for block in source():
        is_scored = block.scored()
        for number, name in enumerate(block.utterance_ids):
            rows = slice(int(block.offsets[number]), int(block.offsets[number + 1]))
            speaker = str(block.speaker_ids[number])
            before = spoken.get(speaker, np.zeros(block.frames.shape[1] + 1))
            found[str(name)] = before
            after = _running(block.frames[rows], is_scored[rows], before)
            spoken[speaker] = after[-1] if len(after) else before
    return found


def running_means(block: LatentBlock, before: Mapping[str, np.ndarray]) -> np.ndarray:
    """Return the mean of the speaker's frames so far at every frame, and their number.

    Args:
        block: Whole utterances, in whatever order.
        before: Of `means_before`, for the utterances of the block.

    Returns:
        Shape [N, D + 1], float32. The frame itself counts.
    """
    found = np.empty((len(block.frames), block.frames.shape[1] + 1), np.float32)
    is_scored = block.scored()
    for number, name in enumerate(block.utterance_ids):
        rows = slice(int(block.offsets[number]), int(block.offsets[number + 1]))
        found[rows] = _running(block.frames[rows], is_scored[rows], before[str(name)])
    return found


def _running(frames: np.ndarray, is_scored: np.ndarray, before: np.ndarray) -> np.ndarray:
    counts = before[-1] + np.cumsum(is_scored)
    sums = before[:-1] * before[-1] + np.cumsum(frames * is_scored[:, None], 0, dtype=np.float64)
    return np.column_stack([sums / np.maximum(counts, 1)[:, None], counts])
