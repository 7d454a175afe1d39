"""Who speaks and for how long in a planted world, and the random streams that decide it.

Every speaker has a stream of their own, so a world of 20 speakers is a part of the same world with
200, and memory while simulating is one speaker's frames.

Shapes: U utterances of one speaker, T frames of the longest, N frames together, D dimensions.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np

from engram_audio.numerics.seeds import named_generator

TRAIN, EVAL = "train", "eval"
# equal numbers of utterances, log-normal ones, or one speaker of each split with a third or a half
# of all utterances
SpeakerSizes = Literal["equal", "lognormal", "third", "half"]
LOG_SIZE_SD = 0.75  # of log-normal sizes: 20 speakers then count like 11 equal ones
DOMINANT_TO_REST = {"third": 0.5, "half": 1.0}  # the largest speaker's utterances over the others'
LEAST_UTTERANCES = 2  # a train speaker keeps one beside val


class WorldSize(NamedTuple):
    """How much of a world to simulate; utterance lengths are uniform, both ends included."""

    num_train_speakers: int
    num_eval_speakers: int
    num_utterances_per_speaker: int
    min_frames: int = 40
    max_frames: int = 80


class Speaker(NamedTuple):
    """One speaker: `role` is train or eval, `number` counts within the role, `lengths` is [U]."""

    speaker_id: str
    role: str
    number: int
    lengths: np.ndarray

    @property
    def num_frames(self) -> int:
        """N, all utterances together."""
        return int(self.lengths.sum())

    def utterance_ids(self) -> list[str]:
        """Names of the utterances, in order."""
        return [f"{self.speaker_id}-{number:04d}" for number in range(len(self.lengths))]


def speakers(size: WorldSize, seed: int, sizes: SpeakerSizes = "equal") -> Iterator[Speaker]:
    """Yield the train speakers, then the eval speakers."""
    roles = ((TRAIN, size.num_train_speakers), (EVAL, size.num_eval_speakers))
    for role, count in roles:
        for number in range(count):
            name = f"{role}-{number:04d}"
            num_utterances = size.num_utterances_per_speaker
            if sizes == "lognormal":
                num_utterances = _lognormal_count(
                    num_utterances, named_generator(seed, "utterances", name)
                )
            elif sizes != "equal" and number == 0:
                num_utterances *= max(1, round((count - 1) * DOMINANT_TO_REST[sizes]))
            lengths = named_generator(seed, "lengths", name).integers(
                size.min_frames, size.max_frames + 1, num_utterances
            )
            yield Speaker(name, role, number, lengths)


def _lognormal_count(mean: int, generator: np.random.Generator) -> int:
    """Draw how many utterances a speaker has; `mean` on average."""
    normal = generator.standard_normal()
    return max(LEAST_UTTERANCES, round(mean * np.exp(LOG_SIZE_SD * normal - 0.5 * LOG_SIZE_SD**2)))


def ragged(padded: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Drop the padding: [U, T, ...] becomes [N, ...], utterance after utterance."""
    return padded[np.arange(padded.shape[1]) < lengths[:, None]]


def padded(values: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Undo `ragged`; padding is zero."""
    mask = np.arange(lengths.max()) < lengths[:, None]
    out = np.zeros((*mask.shape, *values.shape[1:]), dtype=values.dtype)
    out[mask] = values
    return out
