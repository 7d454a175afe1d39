"""The overlap control of a short memory: every frame encoded from the last seconds of audio only.

What a frame shares with its past beyond `context` frames of audio cannot come from the encoder's
receptive field any more (SCIENCE 2). A fresh start has its own transient: where the encoder needs
longer to settle than the context lasts, that is part of what truncation does.

Shapes: B clips, S samples, T frames of a clip, C frames of context, D dimensions.
"""

import numpy as np

from engram_audio.codecs.base import QUANTISED, Codec
from engram_audio.errors import InputError

ROUNDING = 1e-6  # of a frame: seconds in a configuration are decimal


class TruncatedCodec(Codec):
    """A codec that forgets: frame t is the last frame of the clip that ends with it."""

    def __init__(self, codec: Codec, context_frames: int, batch_samples: int) -> None:
        """Wrap a codec.

        Args:
            codec: The whole-clip codec.
            context_frames: C, at least 1; the frame itself counts.
            batch_samples: Samples of short clips that are encoded together.
        """
        self._codec = codec
        self._context = context_frames
        self._clips = max(batch_samples // (context_frames * codec.hop_samples), 1)
        self.sample_rate_hz = codec.sample_rate_hz
        self.hop_samples = codec.hop_samples
        self.num_dims = codec.num_dims
        self.latent_space = f"{codec.latent_space}_of_last_{context_frames}_frames"
        self.is_causal = True  # nothing after the frame is ever shown
        self.cold_start_frames = codec.cold_start_frames  # the same frames as the whole clip's
        self.nominal_frame_rate_hz = codec.nominal_frame_rate_hz
        self.may_lose_sound = codec.may_lose_sound
        if codec.bits_are == QUANTISED:
            self.bits_per_s = codec.bits_per_s  # a KL was measured with the whole context

    def weight_hash(self) -> str:
        """Return the codec's hash: the weights are the same, the space says the rest."""
        return self._codec.weight_hash()

    def weight_fault(self) -> str | None:
        """Return the codec's fault."""
        return self._codec.weight_fault()

    def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Encode each frame alone with its context; heads of clips have what there is."""
        shape = (len(waveforms), waveforms.shape[1] // self.hop_samples, self.num_dims)
        latents = np.zeros(shape, np.float32)
        for rows, waveform, length in zip(latents, waveforms, num_samples, strict=True):
            count = -(-int(length) // self.hop_samples)
            rows[:count] = self._encode_clip(waveform[: count * self.hop_samples])
        return latents

    def _encode_clip(self, waveform: np.ndarray) -> np.ndarray:
        hop, context = self.hop_samples, self._context
        num_frames = len(waveform) // hop
        # A head shorter than the context is followed by silence: its last frame is taken, not the
        # clip's. A codec that looks ahead sees that silence, as at the end of any clip.
        padded = np.concatenate([waveform, np.zeros(context * hop, np.float32)])
        starts = np.maximum(np.arange(num_frames) - context + 1, 0)
        taken = np.arange(num_frames) - starts
        latents = np.empty((num_frames, self.num_dims), np.float32)
        for low in range(0, num_frames, self._clips):
            rows = np.arange(low, min(low + self._clips, num_frames))
            samples = starts[rows, None] * hop + np.arange(context * hop)
            # The head's clips would reach past their frame: silence there instead.
            visible = np.arange(context * hop) < (taken[rows, None] + 1) * hop
            clips = np.where(visible, padded[samples], np.float32(0))
            lengths = (taken[rows] + 1) * hop
            latents[rows] = self._codec.encode(clips, lengths)[np.arange(len(rows)), taken[rows]]
        return latents

    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Decode with the codec."""
        return self._codec.decode(latents)


def truncated(codec: Codec, context_s: float | None, batch_samples: int, name: str) -> Codec:
    """Return the codec that sees `context_s` seconds only, or the codec itself for None.

    Raises:
        InputError: Not a whole number of frames, or less than one.
    """
    if context_s is None:
        return codec
    frames = context_s * codec.frame_rate_hz
    nearest = round(frames)
    if nearest < 1 or abs(frames - nearest) > ROUNDING * max(frames, 1.0):
        suggestion = max(nearest, 1) / codec.frame_rate_hz
        raise InputError(
            f"representations.library.{name}.context_s: {context_s} s is {frames:.4g} frames of "
            f"{1 / codec.frame_rate_hz:.9g} s; give a multiple of a frame, for example "
            f"{suggestion:.9g}"
        )
    return TruncatedCodec(codec, nearest, batch_samples)
