"""The one interface of codecs: waveform in, continuous latents out, and back.

Shapes: B clips of a batch, S samples of the padded batch, T frames of a clip, D dimensions.
"""

import abc
from typing import Any

import numpy as np

QUANTISED, POSTERIOR_KL = "quantised", "posterior_kl"


class Codec(abc.ABC):
    """A loaded codec. Adapters subclass it; nothing else knows codec families.

    Attributes:
        sample_rate_hz: Rate of the waveforms it takes and gives.
        hop_samples: Samples of one frame; frame t covers samples [t * hop, (t + 1) * hop).
        num_dims: D.
        latent_space: Which space the vectors live in, for example `pre_quantizer`.
        is_causal: Whether frame t depends on samples before (t + 1) * hop only.
        cold_start_frames: Frames at the head of a clip that a fresh start distorts; readers drop
            them.
        context_frames: Frames before frame t whose samples can reach it; None where recurrent
            state leaves no bound.
        lookahead_frames: Frames after frame t whose samples reach it; 0 for a causal codec.
        is_quantized: Whether the latents come from codes: rounding then flips a code now and then.
        may_have_dead_dims: Whether a dimension that never moves is possible in a sound codec.
        may_lose_sound: Whether a codec whose decodings resemble no clip is kept and flagged: one
            that this workflow trained, under `health.action: report`.
        nominal_frame_rate_hz: The rate the checkpoint states; None where it states none.
        bits_per_s: Bits of one second; None where nothing states them.
        bits_are: `quantised`: they name the latents. `posterior_kl`: what latents drawn from the
            posterior cost on select; the posterior means that are used hold more.
    """

    sample_rate_hz: int
    hop_samples: int
    num_dims: int
    latent_space: str
    is_causal: bool
    cold_start_frames: int = 0
    context_frames: int | None = None
    lookahead_frames: int = 0
    is_quantized: bool = False
    may_have_dead_dims: bool = True
    may_lose_sound: bool = False
    nominal_frame_rate_hz: float | None = None
    bits_per_s: float | None = None
    bits_are: str = QUANTISED

    @property
    def frame_rate_hz(self) -> float:
        """Frames per second."""
        return self.sample_rate_hz / self.hop_samples

    def num_frames(self, num_samples: int) -> int:
        """Return T of a clip: a partial last frame is dropped (SCIENCE 2)."""
        return num_samples // self.hop_samples

    @abc.abstractmethod
    def weight_hash(self) -> str:
        """Return the SHA-256 of everything fitted that decides the latents."""

    def encode_plainly(self, waveform: np.ndarray) -> np.ndarray | None:
        """Encode one clip [S], S a multiple of the hop, by the model's own call, to [T, D].

        Returns:
            None where `encode` is that call.
        """
        return None

    def weight_fault(self) -> str | None:
        """Return why the weights cannot be real (an all-zero encoder), or None."""
        return None

    def stage(self, waveforms: np.ndarray) -> Any:
        """Begin to move a padded batch to where it is encoded; `encode` takes what this gives.

        A thread that reads ahead calls it. By default the batch stays where it is.
        """
        return waveforms

    @abc.abstractmethod
    def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Encode a batch of clips, each padded with zeros at its end.

        Args:
            waveforms: Shape [B, S], float32, S a multiple of the hop; or what `stage` made of it.
            num_samples: Valid samples of each clip, shape [B]; a codec without state across clips
                may ignore it.

        Returns:
            Latents, shape [B, S / hop, D], float32; rows from `num_frames(num_samples[b])` on have
            no meaning.
        """

    @abc.abstractmethod
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Decode latents of one clip, shape [T, D], to a waveform, shape [T * hop], float32.

        Raises:
            NotImplementedError: The codec has no decoder; nothing is heard of it then.
        """

    def stream(self, waveform: np.ndarray, chunk_frames: int) -> np.ndarray | None:
        """Encode one clip piece by piece with state carried along, as a live encoder would.

        Args:
            waveform: Shape [S], S a multiple of the hop.
            chunk_frames: Frames of a piece.

        Returns:
            Latents, shape [S / hop, D], float32; None where the codec cannot stream.
        """
        return None
