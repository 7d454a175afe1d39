"""What the evaluators hear in a clip, and the scores that follow from it.

A score is a numerator and a denominator for each clip. Its value over clips is the ratio of their
sums, so that an error rate counts words and a mean counts clips.

Shapes: S samples, P parts of a clip, F frames.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from engram_audio.audio_scores.quality import Network, Quality, quality_of
from engram_audio.audio_scores.silence import frame_levels, num_silent
from engram_audio.audio_scores.speaker_encoder import cosine, embedding
from engram_audio.audio_scores.words import (
    Normalize,
    character_errors,
    count_words,
    word_errors,
)

RATE_HZ = 16000  # of every clip that is heard
LEAST_S = 0.5  # shorter clips have no words
Ratio = tuple[float, float]


class Evaluators(NamedTuple):
    """The networks that are installed; None for one that is not.

    Attributes:
        transcribe: Returns the words of a clip.
        embed: Returns speaker embeddings of a clip's parts, [P, 256].
        rate: The quality network, see `quality.quality_of`.
        normalize: Brings a text into the spelling in which words are compared.
    """

    transcribe: Callable[[np.ndarray], str] | None
    embed: Callable[[np.ndarray], np.ndarray] | None
    rate: Network | None
    normalize: Normalize


class Heard(NamedTuple):
    """What was heard in a clip.

    Attributes:
        duration_s: Its length.
        levels: RMS of its frames, [F].
        text: Its words; None where nobody listened.
        parts: Embeddings of its parts, [P, 256]; None likewise.
        quality: Its quality; None likewise.
    """

    duration_s: float
    levels: np.ndarray
    text: str | None
    parts: np.ndarray | None
    quality: Quality | None


def hear(waveform: np.ndarray, evaluators: Evaluators, has_words: bool = True) -> Heard:
    """Return what the evaluators hear in a clip [S] at `RATE_HZ`.

    Args:
        waveform: The clip, not empty.
        evaluators: Those that are installed.
        has_words: Whether it is transcribed.
    """
    clipped = np.clip(np.asarray(waveform, np.float32), -1.0, 1.0)
    text = None
    if has_words and evaluators.transcribe is not None:
        text = evaluators.transcribe(clipped) if len(clipped) >= LEAST_S * RATE_HZ else ""
    return Heard(
        len(clipped) / RATE_HZ,
        frame_levels(clipped, RATE_HZ),
        text,
        None if evaluators.embed is None else evaluators.embed(clipped),
        None if evaluators.rate is None else quality_of(clipped, evaluators.rate),
    )


def scores_of(
    heard: Heard, original: Heard, transcript: str | None, quiet: float, normalize: Normalize
) -> dict[str, Ratio]:
    """Return the scores of a clip by name; those that nobody could give are absent.

    Args:
        heard: The clip.
        original: The true clip that it stands for.
        transcript: What was read in it; None where that is not known.
        quiet: RMS below which a frame is quiet.
        normalize: Brings texts into one spelling.
    """
    found = {"silence_share": (float(num_silent(heard.levels, quiet)), float(len(heard.levels)))}
    if heard.text is not None and original.text is not None:
        found |= _of_words(heard.text, original.text, transcript, normalize)
        found["words_per_s"] = float(count_words(heard.text, normalize)), heard.duration_s
    if heard.parts is not None and original.parts is not None:
        found["speaker_cosine"] = cosine(embedding(heard.parts), embedding(original.parts)), 1.0
    if heard.quality is not None:
        found["quality_signal"] = heard.quality.signal, 1.0
        found["quality_background"] = heard.quality.background, 1.0
        found["quality_overall"] = heard.quality.overall, 1.0
    return found


def _of_words(
    text: str, original: str, transcript: str | None, normalize: Normalize
) -> Mapping[str, Ratio]:
    found = {"consistency": _ratio(*word_errors(original, text, normalize))}
    if transcript is not None:
        found["wer"] = _ratio(*word_errors(transcript, text, normalize))
        found["cer"] = _ratio(*character_errors(transcript, text, normalize))
    return found


def _ratio(num_wrong: int, num_true: int) -> Ratio:
    return float(num_wrong), float(num_true)
