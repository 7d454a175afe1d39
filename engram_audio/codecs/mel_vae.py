"""The mel_vae codec: log-mel stacks, a trained VAE, Griffin-Lim. Its latents are posterior means.

Shapes: B clips, S samples, T frames, V values of a stack, D dimensions.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from engram_audio.codecs.fitted_config import MelVaeCodecSettings
from engram_audio.codecs.griffin_lim import invert_log_mel
from engram_audio.codecs.mel import analysis_of, log_mel_stacks
from engram_audio.codecs.mel_vae_networks import MelVae
from engram_audio.codecs.trained_weights import TrainedVae, fill, read_weights


class MelVaeCodec(TrainedVae):
    """Causal by construction: frame t sees the last `encoder_context_frames` stacks."""

    def __init__(self, network: MelVae, settings: MelVaeCodecSettings, device: str) -> None:
        """Keep a trained network and the sizes."""
        self._analysis = analysis_of(settings)
        statistics = (network.frame_mean, network.frame_scale)
        super().__init__(network, settings, device, self._analysis, *statistics)
        self._iterations = settings.griffin_lim_iterations
        self.cold_start_frames = settings.encoder_context_frames - 1

    @torch.inference_mode()
    def encode(self, waveforms: np.ndarray, num_samples: np.ndarray) -> np.ndarray:
        """Return posterior means; zeros that pad a clip come after it and cannot reach back."""
        stacks = log_mel_stacks(waveforms.reshape(-1), self._analysis)  # S is a hop multiple
        frames = torch.from_numpy(stacks).reshape(len(waveforms), -1, stacks.shape[-1])
        return self._network.encode(frames.to(self._device)).mean.cpu().numpy()

    @torch.inference_mode()
    def decode(self, latents: np.ndarray) -> np.ndarray:
        """Decode to log-mel and invert it, shape [T * hop]."""
        inputs = torch.from_numpy(np.array(latents, np.float32)).to(self._device)
        stacks = self._network.decode(inputs[None])[0].cpu().numpy()
        spectrogram = stacks.reshape(-1, self._analysis.num_mels)
        generator = np.random.default_rng(0)  # the first phases, the same for every call
        return invert_log_mel(spectrogram, self._analysis, self._iterations, generator)


def load(
    settings: MelVaeCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> MelVaeCodec:
    """Load the trained codec (the registry's entry point).

    Raises:
        InputError: The file is missing, damaged or trained with other sizes.
    """
    weights = read_weights(files, settings.kind)
    num_values = settings.num_mels * settings.stack_hops
    network = MelVae(settings, torch.zeros(num_values), torch.ones(1))
    fill(network, weights.tensors, weights.path)
    codec = MelVaeCodec(network, settings, device)
    codec.bits_per_s = weights.bits_per_s
    return codec
