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
        ratio: Largest over the pieces: distance to the own decoding over that to the nearest piece
            of another clip, or its decoding, whichever is nearer. Below 1 every decoding is its
            piece's.
        num_pieces: How many were compared.
        num_matched: How many of them stand for sound of their own: one of each clip, or all pieces
            of a single clip.
    """

    ratio: float
    num_pieces: int
    num_matched: int

    @property
    def chance(self) -> float:
        """Bound of the chance that decodings which know nothing pass: one of n! orders is right."""
        return 1 / math.factorial(self.num_matched)


class Piece(NamedTuple):
    """Sound [S] of whole frames, and which clip it was cut from."""

    sound: np.ndarray
    clip: int


def compare_pieces(codec: Codec, waveforms: Sequence[np.ndarray]) -> OwnClip | None:
    """Encode and decode pieces of some clips; None where no two different ones hold sound.

    Pieces of one clip are told apart only where there is no other clip: a clip may sound the same
    throughout.

    Raises:
        NotImplementedError: The codec does not decode.
    """
    pieces = sounding_pieces(codec, waveforms)
    sounds = [piece.sound for piece in pieces]
    decoded = [codec.decode(encode_batch(codec, [sound], 0)[0]) for sound in sounds]
    to_decoded, to_piece = (_distances(codec, sounds, others) for others in (decoded, sounds))
    nearest = np.minimum(to_decoded, to_piece)
    clip = np.array([piece.clip for piece in pieces])
    num_clips = len(np.unique(clip))
    is_own = clip[:, None] == clip if num_clips > 1 else np.eye(len(clip), dtype=bool)
    nearest[is_own | (to_piece < SAME_SOUND)] = np.inf  # heard twice is no other sound
    distance = nearest.min(axis=1, initial=np.inf)
    if not len(pieces) or not np.isfinite(distance).all():
        return None
    ratios = np.diag(to_decoded) / np.maximum(distance, SAME_SOUND)
    return OwnClip(float(ratios.max()), len(pieces), num_clips if num_clips > 1 else len(pieces))


def sounding_pieces(codec: Codec, waveforms: Sequence[np.ndarray]) -> list[Piece]:
    """Cut clips into equal pieces of whole frames, some five in all, and drop the silent ones."""
    per_clip = -(-NUM_PIECES // len(waveforms))
    found = []
    for clip, waveform in enumerate(waveforms):
        length = codec.num_frames(len(waveform)) // per_clip * codec.hop_samples
        cut = waveform[: per_clip * length].reshape(per_clip, length)
        found += [
            Piece(sound, clip)
            for sound in cut
            if length and np.sqrt(np.mean(sound**2)) > SILENT_RMS
        ]
    return found


def _distances(
    codec: Codec, sounds: Sequence[np.ndarray], others: Sequence[np.ndarray]
) -> np.ndarray:
    """Return log-mel distances over what two sounds have in common of length, [n, n]."""
    rows, columns = ([spectrogram(codec, sound) for sound in each] for each in (sounds, others))
    found = np.empty((len(rows), len(columns)))
    for i, own in enumerate(rows):
        for j, other in enumerate(columns):
            length = min(len(own), len(other))
            found[i, j] = log_mel_distance(own[:length], other[:length])
    return found
