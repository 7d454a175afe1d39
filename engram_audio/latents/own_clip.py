"""Does a decoding resemble the clip it came from more than it resembles other clips?

Weights that nobody trained pass every check of shape, rate and causality, and their sound is as
far from one clip as from another. So a few pieces of sound are encoded and decoded, and each
decoding is asked for its own piece.

Shapes: n pieces, S samples.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.codecs.base import Codec
from engram_audio.latents.batching import encode_batch
from engram_audio.latents.round_trip import log_mel_distance, spectrogram
from engram_audio.latents.scored import SILENT_RMS

NUM_PIECES = 5  # decodings that know nothing are all matched with a chance of 1 in 5! = .8 %
SAME_SOUND = 1e-9  # natural-log units: sounds that near are one


class OwnClip(NamedTuple):
    """How pieces and decodings compare.

    Attributes:
        ratio: Largest over the pieces: distance to the own decoding over that to the nearest other
            piece, or other piece's decoding, whichever is nearer. Below 1 every decoding is its
            piece's.
        num_pieces: n; a decoder that ignores its latents passes with a chance of at most 1 / n!.
    """

    ratio: float
    num_pieces: int

    @property
    def chance(self) -> float:
        """The chance that decodings which know nothing pass: one of n! orders is right."""
        return 1 / math.factorial(self.num_pieces)


def compare_pieces(codec: Codec, waveforms: Sequence[np.ndarray]) -> OwnClip | None:
    """Encode and decode pieces of some clips; None where no two different ones hold sound.

    Raises:
        NotImplementedError: The codec does not decode.
    """
    pieces = sounding_pieces(codec, waveforms)
    if len(pieces) < 2:
        return None
    decoded = [codec.decode(encode_batch(codec, [piece], 0)[0]) for piece in pieces]
    own, others = ([spectrogram(codec, sound) for sound in sounds] for sounds in (pieces, decoded))
    to_decoded = np.array([[log_mel_distance(a, b) for b in others] for a in own])
    to_piece = np.array([[log_mel_distance(a, b) for b in own] for a in own])
    nearest = np.minimum(to_decoded, to_piece)
    nearest[to_piece == 0] = np.inf  # the piece itself, or one that sounds exactly like it
    distance = nearest.min(axis=1)
    if not np.isfinite(distance).all():
        return None
    ratios = np.diag(to_decoded) / np.maximum(distance, SAME_SOUND)
    return OwnClip(float(ratios.max()), len(pieces))


def sounding_pieces(codec: Codec, waveforms: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Cut clips, one after the other, into equal pieces of whole frames, [S]; drop the silent."""
    joined = np.concatenate(waveforms)
    length = codec.num_frames(len(joined)) // NUM_PIECES * codec.hop_samples
    cut = joined[: NUM_PIECES * length].reshape(NUM_PIECES, length)
    return [piece for piece in cut if length and np.sqrt(np.mean(piece**2)) > SILENT_RMS]
