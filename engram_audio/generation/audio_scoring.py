"""Scores of every clip of every utterance, and distances between what clips consist of.

Shapes: F frames of a clip, N mel bands, P parts of it.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.audio_scores.distances import energy_distance, frechet_distance, halves
from engram_audio.audio_scores.hearing import RATE_HZ, Heard, Ratio, scores_of
from engram_audio.audio_scores.names import (
    CONTINUATION,
    NOISE,
    OF_REFERENCE_WORDS,
    ORIGINAL,
    OTHER,
    REPLACED,
    ROUND_TRIP,
    WHOLE,
)
from engram_audio.audio_scores.silence import quiet_level
from engram_audio.audio_scores.words import Normalize, word_errors
from engram_audio.codecs.mel import MelAnalysis, log_mel
from engram_audio.generation.audio_clips import NO_SEED
from engram_audio.generation.audio_columns import OF_DISTANCE, OF_SCORE

# 80 bands, 40 ms windows every 10 ms, floor 1e-5 of full scale: as the players' distance.
ANALYSIS = MelAnalysis(
    sample_rate_hz=RATE_HZ, hop_samples=160, window_samples=640, stack_hops=1, num_mels=80,
    magnitude_floor=1e-5,
)  # fmt: skip
BLOCK_FRAMES = 50  # half a second
PARTS_APART = 3  # parts of a speaker embedding that share no sound
MAXIMUM_FRAMES = 2000  # of each side of a distance
LEAST_FRAMES = 2


class Place(NamedTuple):
    """Which clip: of what condition, arm and training seed, and which part of it."""

    condition: str
    arm: str
    scope: str
    seed: int = NO_SEED


class Listened(NamedTuple):
    """What was heard of an utterance.

    Attributes:
        utterance_id: Its name.
        speaker_id: Who speaks.
        transcript: What was read; None where that is not known.
        heard: What the evaluators heard, by clip.
        mels: Log-mel frames by clip, [F, N].
        replaced: Replaced and all draws, by clip that an arm made.
    """

    utterance_id: str
    speaker_id: str
    transcript: str | None
    heard: Mapping[Place, Heard]
    mels: Mapping[Place, np.ndarray]
    replaced: Mapping[Place, Ratio]


def mel_frames(waveform: np.ndarray) -> np.ndarray:
    """Return the log-mel frames of a clip at 16 kHz, [F, N]."""
    return log_mel(waveform, ANALYSIS)


def score_rows(
    listened: Sequence[Listened], maximum_original_wer: float, normalize: Normalize
) -> pd.DataFrame:
    """Return one row per utterance, clip and score: `OF_SCORE`.

    Words count only in utterances whose original is understood well enough. The floor `other` is
    the round trip of another speaker's utterance, in the place of this one.
    """
    true = Place(ORIGINAL, "", WHOLE)
    quiet = quiet_level(np.concatenate([one.heard[true].levels for one in listened]))
    rows = []
    for number, one in enumerate(listened):
        has_words = is_understood(one, maximum_original_wer, normalize)
        clips = {**one.heard, **_of_other(listened, number)}
        for place, heard in clips.items():
            original = one.heard[Place(ORIGINAL, "", place.scope)]
            # only the whole of an utterance has a transcript
            transcript = one.transcript if place.scope == WHOLE else None
            found = scores_of(heard, original, transcript, quiet, normalize)
            if place in one.replaced:
                found = {**found, REPLACED: one.replaced[place]}
            rows += [
                (
                    one.utterance_id,
                    one.speaker_id,
                    place.arm,
                    place.seed,
                    place.condition,
                    place.scope,
                    *score,
                )
                for score in _kept(found, has_words)
            ]
    return pd.DataFrame(rows, columns=list(OF_SCORE))


def is_understood(one: Listened, maximum_wer: float, normalize: Normalize) -> bool:
    """Whether the words of an utterance count; where nobody knows what was read, they do."""
    heard = one.heard[Place(ORIGINAL, "", WHOLE)].text
    if heard is None or one.transcript is None:
        return True
    num_wrong, num_true = word_errors(one.transcript, heard, normalize)
    return num_true > 0 and num_wrong <= maximum_wer * num_true


def _kept(found: Mapping[str, Ratio], has_words: bool) -> list[tuple[str, float, float]]:
    return [
        (name, *ratio)
        for name, ratio in found.items()
        if ratio[1] > 0 and (has_words or name not in OF_REFERENCE_WORDS)
    ]


def _of_other(listened: Sequence[Listened], number: int) -> dict[Place, Heard]:
    """Return the round trips of the next utterance of another speaker; nothing without one."""
    own = listened[number]
    for ahead in range(1, len(listened)):
        other = listened[(number + ahead) % len(listened)]
        if other.speaker_id != own.speaker_id:
            return {
                Place(OTHER, "", scope): other.heard[Place(ROUND_TRIP, "", scope)]
                for scope in (WHOLE, CONTINUATION)
            }
    return {}


def distance_rows(listened: Sequence[Listened]) -> pd.DataFrame:
    """Return one row per clip and distance: `OF_DISTANCE`.

    The even half seconds of true clips stand beside the odd ones of other clips. Those of true
    clips themselves give the floor, at equal counts and with the same speakers on both sides.
    """
    rows = []
    for place in dict.fromkeys(place for one in listened for place in one.mels):
        true = Place(ORIGINAL, "", place.scope)
        for name, distance, true_frames, frames in _pairs(listened, true, place):
            if len(true_frames) >= LEAST_FRAMES and len(frames) >= LEAST_FRAMES:
                rows.append((place.arm, place.seed, place.condition, place.scope, name,
                             distance(true_frames, frames)))  # fmt: skip
    return pd.DataFrame(rows, columns=list(OF_DISTANCE))


def _pairs(listened: Sequence[Listened], true: Place, place: Place):
    """Yield each distance with its name and the two samples that it compares."""
    mels = [
        (halves(one.mels[true], BLOCK_FRAMES)[0], halves(one.mels[place], BLOCK_FRAMES)[1])
        for one in listened
    ]
    even, odd = (thinned(np.concatenate(side)) for side in zip(*mels, strict=True))
    yield "mel_energy_distance", energy_distance, even, odd
    yield "mel_frechet_distance", frechet_distance, even, odd
    parts = [
        (halves(true_parts[::PARTS_APART], 1)[0], halves(own_parts[::PARTS_APART], 1)[1])
        for one in listened
        if (true_parts := one.heard[true].parts) is not None
        and (own_parts := one.heard[place].parts) is not None
    ]
    if parts:
        even, odd = (np.concatenate(side) for side in zip(*parts, strict=True))
        yield "speaker_energy_distance", energy_distance, even, odd


def thinned(frames: np.ndarray) -> np.ndarray:
    """Return evenly spread frames, at most `MAXIMUM_FRAMES`, float64."""
    count = min(len(frames), MAXIMUM_FRAMES)
    chosen = np.linspace(0, len(frames) - 1, count).round().astype(int)
    return frames[chosen].astype(np.float64)


NEVER_OF_WORDS = (NOISE,)  # clips in which nobody looks for words
