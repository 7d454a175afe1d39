"""Original and decoded excerpts for people to listen to, with their distance.

Shapes: S samples, F spectra, N mel bands.
"""

import numpy as np
import pandas as pd

from engram_audio.codecs.base import Codec
from engram_audio.codecs.mel import MelAnalysis, log_mel
from engram_audio.errors import InputError
from engram_audio.latents.batching import encode_batch

# The picture and the distance: 80 bands, 40 ms windows every 10 ms, floor 1e-5 of full scale.
PICTURE_MELS, PICTURE_HOP_S, PICTURE_WINDOW_S, PICTURE_FLOOR = 80, 0.010, 0.040, 1e-5


def choose_examples(utterances: pd.DataFrame, num_examples: int, duration_s: float) -> pd.DataFrame:
    """Choose one utterance each of speakers spread evenly over the sorted speakers.

    Args:
        utterances: Columns utterance_id, speaker_id, duration_s; eval speakers only.
        num_examples: How many; fewer if there are fewer speakers.
        duration_s: The shortest utterance at least this long is taken, else the longest.
    """
    speakers = sorted(set(utterances["speaker_id"]))
    count = min(num_examples, len(speakers))
    spread = [speakers[i] for i in np.linspace(0, len(speakers) - 1, count).round().astype(int)]
    short = utterances["duration_s"] < duration_s
    ordered = utterances.assign(
        is_short=short, excess=utterances["duration_s"].where(~short, -utterances["duration_s"])
    ).sort_values(["speaker_id", "is_short", "excess", "utterance_id"])
    is_chosen = ordered["speaker_id"].isin(spread) & ~ordered["speaker_id"].duplicated()
    return ordered.loc[is_chosen]


def decoded_again(codec: Codec, original: np.ndarray) -> np.ndarray:
    """Encode and decode a waveform [S] of whole frames at the codec's rate."""
    return sound_of(codec, encode_batch(codec, [original], 0)[0])[: len(original)]


def sound_of(codec: Codec, latents: np.ndarray) -> np.ndarray:
    """Decode latents [T, D] of one clip for people or metrics to hear, [T * hop].

    Raises:
        InputError: The codec has no decoder.
    """
    try:
        return codec.decode(latents)
    except NotImplementedError as error:
        raise InputError(
            f"{codec.latent_space}: its codec does not decode, so nothing of it can be heard; set "
            "report.num_players to 0 and take its codec out of comparison.representations"
        ) from error


def whole_frames(codec: Codec, waveform: np.ndarray, duration_s: float) -> np.ndarray:
    """Return the head of a waveform, at most this long, cut to whole frames."""
    num_frames = codec.num_frames(min(len(waveform), round(duration_s * codec.sample_rate_hz)))
    return waveform[: num_frames * codec.hop_samples]


def spectrogram(codec: Codec, waveform: np.ndarray) -> np.ndarray:
    """Return the log-mel spectrogram of the pictures and distances, shape [F, N]."""
    analysis = MelAnalysis(
        sample_rate_hz=codec.sample_rate_hz,
        hop_samples=round(PICTURE_HOP_S * codec.sample_rate_hz),
        window_samples=round(PICTURE_WINDOW_S * codec.sample_rate_hz),
        stack_hops=1,
        num_mels=PICTURE_MELS,
        magnitude_floor=PICTURE_FLOOR,
    )
    return log_mel(waveform, analysis)


def log_mel_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the mean |difference| of log-mel spectrograms, natural-log units."""
    return float(np.mean(np.abs(first - second), dtype=np.float64))


def picture(spectrum: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Return a spectrogram as 0..255 on the scale of a reference, low bands last, uint8."""
    floor, top = float(np.log(PICTURE_FLOOR)), float(reference.max())
    share = (spectrum - floor) / max(top - floor, 1.0)
    return np.round(255 * np.clip(share, 0.0, 1.0)).astype(np.uint8).T[::-1]
