"""The mean of a speaker's frames so far: what centring may know at a frame, and no more.

m_s = (sum of the speaker's frames up to s) / (their number + pseudo-frames), of frames less the
train mean, so the first frames of a speaker are centred by little more than the train mean.
Frames that decide nothing (silence, repetitions) do not count. Utterances count in the order of
the stream. A mean over the whole recording would see the future: a pure random walk then seems
predictable.

Shapes: N frames of a block, D dimensions.
"""

import numpy as np

from engram_audio.latents.block import LatentBlock


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
