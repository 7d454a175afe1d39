"""The waveform VAE-GAN that the workflow trains; its latents are posterior means.

Shapes: B clips, S samples, T frames, D dimensions.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from engram_audio.codecs.fitted_config import VaeCodecSettings
from engram_audio.codecs.trained_weights import TrainedVae, fill, read_weights
from engram_audio.codecs.vae_networks import WaveformVae


class VaeCodec(TrainedVae):
    """Strictly causal; the cold start is what the encoder's receptive field reaches back."""

    def __init__(self, network: WaveformVae, settings: VaeCodecSettings, device: str) -> None:
        """Keep a trained network and the sizes."""
        super().__init__(network, settings, device, (settings.sample_rate_hz, settings.strides))
        self.cold_start_frames = network.cold_start_frames()

    @torch.inference_mode()
    def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Return posterior means; zeros that pad a clip come after it and cannot reach back."""
        audio = torch.from_numpy(np.ascontiguousarray(waveforms, np.float32)).to(self._device)
        return self._network.encode(audio).mean.cpu().numpy()

    @torch.inference_mode()
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Decode one clip, shape [T * hop]."""
        inputs = torch.from_numpy(np.array(latents, np.float32)).to(self._device)
        return self._network.decode(inputs[None])[0].cpu().numpy()


def load(
    settings: VaeCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> VaeCodec:
    """Load the trained codec (the registry's entry point).

    Raises:
        InputError: The file is missing, damaged or trained with other sizes.
    """
    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, on a GPU as well
    weights = read_weights(files, settings.kind)
    network = WaveformVae(settings)
    fill(network, weights.tensors, weights.path)
    codec = VaeCodec(network, settings, device)
    codec.bits_per_s = weights.bits_per_s
    return codec
