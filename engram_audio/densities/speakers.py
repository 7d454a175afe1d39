"""What an utterance's speaker sounds like on average, without the utterance itself.

Shapes: U utterances, D dimensions.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from engram_audio.keys.so_far import running_means
from engram_audio.latents.block import LatentBlock


class SpeakerMeans(NamedTuple):
    """Mean frame of each utterance's speaker over the speaker's other utterances.

    The scored utterance itself is left out, so that the null knows no future of its own; a speaker
    with one utterance has the train mean.

    Attributes:
        row_of: Row of each utterance id.
        means: Shape [U, D].
        before: Of `so_far.means_before`; None where no key is centred by speaker.
    """

    row_of: dict[str, int]
    means: np.ndarray
    before: Mapping[str, np.ndarray] | None = None

    def so_far(self, block: LatentBlock) -> np.ndarray | None:
        """Return the mean so far and its number at each frame of a block, [N, D + 1], float32."""
        return None if self.before is None else running_means(block, self.before)

    def of(self, utterance_ids: np.ndarray) -> np.ndarray:
        """Return rows of utterances, shape [U, D], float32."""
        return self.means[[self.row_of[str(name)] for name in utterance_ids]]


def speaker_means(
    utterance_ids: np.ndarray,
    speaker_ids: np.ndarray,
    sums: np.ndarray,
    counts: np.ndarray,
    fallback: np.ndarray,
) -> SpeakerMeans:
    """Build leave-one-utterance-out speaker means of per-utterance sums [U, D] and counts [U]."""
    _, speaker = np.unique(speaker_ids.astype(str), return_inverse=True)
    total = np.zeros((speaker.max() + 1, sums.shape[1]))
    np.add.at(total, speaker, sums)
    frames = np.bincount(speaker, weights=counts)
    others = frames[speaker] - counts
    means = (total[speaker] - sums) / np.maximum(others, 1)[:, None]
    means[others == 0] = fallback
    row_of = {str(name): row for row, name in enumerate(utterance_ids)}
    return SpeakerMeans(row_of, means.astype(np.float32))
