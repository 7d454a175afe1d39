"""What an utterance's speaker sounds like on average, without the utterance itself.

Shapes: U utterances, D dimensions.
"""

from typing import NamedTuple

import numpy as np


class SpeakerMeans(NamedTuple):
    """Mean frame of each utterance's speaker over the speaker's other utterances.

    The scored utterance itself is left out, so that the null knows no future of its own; a speaker
    with one utterance has the train mean.
    """

    row_of: dict[str, int]
    means: np.ndarray

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
