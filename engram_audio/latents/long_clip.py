"""What a long clip shows about a checkpoint: pieces against the whole, a cold start against a warm.

Shapes: S samples, T frames, D dimensions.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.codecs.base import Codec
from engram_audio.latents.batching import encode_batch

DURATION_S = 20.0  # beyond the attention windows that were trained (10 s for Mimi)
CHUNK_S = 1.0  # of a stream
FLIPPED_SHARE = 0.02  # of the frames of quantised latents may differ: codes flip on rounding
WARM_GAP = 1e-3  # a cold start is over when frames differ by less, RMS over dimensions, in SD


class LongClip(NamedTuple):
    """A long clip of whole frames and its latents.

    Attributes:
        waveform: Shape [S].
        latents: Encoded whole, shape [T, D].
        spread: SD of the latents, RMS over dimensions.
    """

    waveform: np.ndarray
    latents: np.ndarray
    spread: float


def long_clip(codec: Codec, waveforms: Sequence[np.ndarray], spread: float) -> LongClip:
    """Join clips, again from the first if need be, to one long clip, and encode it whole."""
    num_frames = codec.num_frames(round(DURATION_S * codec.sample_rate_hz))
    joined = np.resize(np.concatenate(waveforms), num_frames * codec.hop_samples)
    return LongClip(joined, encode_batch(codec, [joined], 0)[0], spread)


def streamed_gap(codec: Codec, clip: LongClip) -> float | None:
    """Return the largest |streamed - whole| in SD, or None where the codec cannot stream."""
    chunk_frames = max(round(CHUNK_S * codec.frame_rate_hz), 1)
    streamed = codec.stream(clip.waveform, chunk_frames)
    return None if streamed is None else latent_gap(codec, streamed, clip.latents, clip.spread)


def chunk_gap(codec: Codec, clip: LongClip) -> float | None:
    """Return the largest |chunk - whole| in SD, where the chunk has all the context it can use.

    The chunk is the second half with `context_frames` before it; None where the codec states no
    bound, or one so long that the clip has nothing before it.
    """
    half = len(clip.latents) // 2
    if codec.context_frames is None or codec.context_frames >= half:
        return None
    start = half - codec.context_frames
    chunk = encode_batch(codec, [clip.waveform[start * codec.hop_samples :]], 0)[0]
    return latent_gap(codec, chunk[codec.context_frames :], clip.latents[half:], clip.spread)


def cold_frames(codec: Codec, clip: LongClip) -> int:
    """Return how many frames after a start in mid-clip differ from those of the whole clip."""
    half = len(clip.latents) // 2
    fresh = encode_batch(codec, [clip.waveform[half * codec.hop_samples :]], 0)[0]
    difference = (fresh - clip.latents[half:]).astype(np.float64)
    gaps = np.sqrt(np.mean(difference**2, axis=1)) / clip.spread
    differing = np.flatnonzero(gaps > WARM_GAP)
    return int(differing[-1]) + 1 if len(differing) else 0


def latent_gap(codec: Codec, found: np.ndarray, expected: np.ndarray, spread: float) -> float:
    """Return the largest |found - expected|, in SD; of 98 % of the frames where codes can flip."""
    if found.shape != expected.shape:
        return float("inf")
    gaps = np.abs(found - expected).max(axis=1)
    if not codec.is_quantized:
        return float(gaps.max()) / spread
    return float(np.quantile(gaps, 1 - FLIPPED_SHARE, method="lower")) / spread
