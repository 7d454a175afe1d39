"""Names of clips and scores, and which way a score is better."""

from typing import NamedTuple

ORIGINAL, ROUND_TRIP, OTHER, NOISE, FREE = "original", "round_trip", "other", "noise", "free"
WHOLE, CONTINUATION = "whole", "continuation"
REPLACED = "replaced_share"
WORDS, SPEAKER, QUALITY = "words", "speaker", "quality"  # evaluators


def every(num_frames: int) -> str:
    """Return the name of clips that go on from the true frame after every n draws."""
    return f"every_{num_frames}"


class Score(NamedTuple):
    """A score of clips.

    Attributes:
        name: Its name.
        evaluator: Whose; "" for none.
        floor: The clips that no generator should fall behind; "" where it has none.
        better: 1: higher, -1: lower, 0: neither.
    """

    name: str
    evaluator: str
    floor: str
    better: int


SCORES = (
    Score("wer", WORDS, OTHER, -1),
    Score("cer", WORDS, OTHER, -1),
    Score("consistency", WORDS, OTHER, -1),
    Score("words_per_s", WORDS, "", 0),
    Score("speaker_cosine", SPEAKER, OTHER, 1),
    Score("quality_signal", QUALITY, NOISE, 1),
    Score("quality_background", QUALITY, NOISE, 1),
    Score("quality_overall", QUALITY, NOISE, 1),
    Score("silence_share", "", "", 0),
    Score(REPLACED, "", "", 0),
    Score("mel_energy_distance", "", NOISE, -1),
    Score("mel_frechet_distance", "", NOISE, -1),
    Score("speaker_energy_distance", SPEAKER, NOISE, -1),
)
BY_NAME = {score.name: score for score in SCORES}
OF_TRANSCRIPT = ("wer", "cer")  # compared with what was read
OF_REFERENCE_WORDS = (*OF_TRANSCRIPT, "consistency")
