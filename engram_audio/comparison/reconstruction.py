"""Decode eval utterances and score what came back.

Codecs run at their own rates; all are scored at 16 kHz, where wideband PESQ is defined, so that a
distance means the same for each. What a codec's fresh start distorts is left out, as every reader
of its latents leaves it out.

Shapes: S samples, T frames, D dimensions.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.codecs.base import Codec
from engram_audio.codecs.mel import MelAnalysis, log_mel_distance
from engram_audio.codecs.waveform import resample
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.config import NoisyRepresentation, ResampledRepresentation
from engram_audio.latents.noise import add_noise
from engram_audio.latents.resampling import group_frames, ungroup_frames
from engram_audio.latents.round_trip import sound_of

SCORE_RATE_HZ = 16000
# 80 bands, 40 ms windows every 10 ms, floor 1e-5 of full scale: as the players' distance.
SCORE_ANALYSIS = MelAnalysis(
    sample_rate_hz=SCORE_RATE_HZ,
    hop_samples=160,
    window_samples=640,
    stack_hops=1,
    num_mels=80,
    magnitude_floor=1e-5,
)
SCORES = ("log_mel_l1", "stoi", "pesq")
Link = NoisyRepresentation | ResampledRepresentation
Metric = Callable[[np.ndarray, np.ndarray], float]


class RoundTrip(NamedTuple):
    """An utterance and what was decoded, same length and codec's rate, each [S]."""

    original: np.ndarray
    decoded: np.ndarray


def choose_utterances(utterances: pd.DataFrame, num_utterances: int) -> pd.DataFrame:
    """Deal utterances evenly over the sorted speakers: the first of each, then the second.

    Args:
        utterances: Columns utterance_id, speaker_id; eval speakers only.
        num_utterances: How many; fewer if there are fewer. Below one per speaker, speakers are
            spread evenly over the sorted ones.
    """
    ordered = utterances.sort_values(["speaker_id", "utterance_id"], kind="stable")
    speakers = sorted(set(ordered["speaker_id"]))
    if num_utterances < len(speakers):
        places = np.linspace(0, len(speakers) - 1, num_utterances).round().astype(int)
        ordered = ordered.loc[ordered["speaker_id"].isin([speakers[place] for place in places])]
    turn = ordered.groupby("speaker_id").cumcount()
    dealt = ordered.assign(turn=turn).sort_values(["turn", "speaker_id"], kind="stable")
    return dealt.head(num_utterances).drop(columns="turn")


class Encoded(NamedTuple):
    """A clip as frames of a representation.

    Attributes:
        head: The codec's own first latents, which the cold start drops, [C, D of the codec].
        frames: Frames of the representation after it, [T, D].
    """

    head: np.ndarray
    frames: np.ndarray


def encoded(
    codec: Codec,
    waveform: np.ndarray,
    links: Sequence[Link],
    noise_std: np.ndarray | None,
    utterance_id: str,
) -> Encoded:
    """Return a clip as frames of a representation.

    Args:
        codec: The codec at the root.
        waveform: Shape [S], at the codec's rate.
        links: How the representation is made of the codec's latents, the first step first.
        noise_std: Train SD of the dimensions, where a link adds noise.
        utterance_id: Seeds the noise.
    """
    latents = encode_batch(codec, [waveform], 0)[0]
    start = min(codec.cold_start_frames, len(latents))
    frames = latents[start:]
    for link in links:
        if link.kind == "noisy":
            assert noise_std is not None
            frames = add_noise(frames, noise_std, link.noise_to_signal, link.seed, utterance_id)
        else:
            frames = group_frames(frames, link.frames_per_group, link.mode)
    return Encoded(latents[:start], frames)


def decoded(
    codec: Codec, head: np.ndarray, frames: np.ndarray, links: Sequence[Link]
) -> np.ndarray:
    """Return the sound of a representation's frames [T, D] that follow a head, [S].

    The decoder starts with the head, so that its state is warm where the frames begin.
    """
    for link in reversed(links):
        if link.kind == "resampled":
            frames = ungroup_frames(frames, link.frames_per_group, link.mode)
    return sound_of(codec, np.concatenate([head, frames]))[len(head) * codec.hop_samples :]


def round_trip(
    codec: Codec,
    waveform: np.ndarray,
    links: Sequence[Link],
    noise_std: np.ndarray | None,
    utterance_id: str,
) -> RoundTrip | None:
    """Encode, pass the links that lead to a representation, go back, decode; see `encoded`.

    Returns:
        None where no whole group of frames is left after the cold start.
    """
    head, frames = encoded(codec, waveform, links, noise_std, utterance_id)
    if not len(frames):
        return None
    sound = decoded(codec, head, frames, links)
    start = len(head) * codec.hop_samples
    original = waveform[start : start + len(sound)]
    return RoundTrip(original, sound[: len(original)])


def score(pair: RoundTrip, rate_hz: int, metrics: Mapping[str, Metric]) -> dict[str, float]:
    """Return the scores of one round trip; NaN where a metric is absent or undefined."""
    original, decoded = (resample(wave, rate_hz, SCORE_RATE_HZ) for wave in pair)
    scores = {"log_mel_l1": log_mel_distance(original, decoded, SCORE_ANALYSIS)}
    for name in SCORES[1:]:
        metric = metrics.get(name)
        scores[name] = float("nan") if metric is None else metric(original, decoded)
    return scores


def installed_metrics() -> dict[str, Metric]:
    """Return the intelligibility and quality metrics whose libraries are installed."""
    found: dict[str, Metric] = {}
    try:
        from pystoi import stoi

        def intelligibility(original: np.ndarray, decoded: np.ndarray) -> float:
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # it warns and returns a constant when too short
                try:
                    return float(stoi(original, decoded, SCORE_RATE_HZ))
                except (RuntimeWarning, ValueError):
                    return float("nan")

        found["stoi"] = intelligibility
    except ImportError:
        pass
    try:
        # compiled when it is installed, so that not every machine has it
        from pesq import PesqError, pesq  # pyright: ignore[reportMissingImports]

        def quality(original: np.ndarray, decoded: np.ndarray) -> float:
            try:
                return float(pesq(SCORE_RATE_HZ, original, decoded, "wb"))
            except (PesqError, ValueError):  # no speech in it, or too short
                return float("nan")

        found["pesq"] = quality
    except ImportError:
        pass
    return found
