"""What trained codecs share: weights read into a network, hashed, checked, and what they state."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.codecs.base import POSTERIOR_KL, Codec
from engram_audio.codecs.fitted_config import TrainedCodecSettings
from engram_audio.codecs.weights import require_file
from engram_audio.errors import InputError

WEIGHTS = "weights.safetensors"
REMEDY = "delete it and rerun train_codec"


class TrainedVae(Codec):
    """A codec that the workflow trains; its latents are posterior means, and causal."""

    is_causal = True
    latent_space = "vae_mean"
    bits_are = POSTERIOR_KL

    def __init__(
        self,
        network: Any,
        settings: TrainedCodecSettings,
        device: str,
        sizes: object,
        *statistics: Tensor,
    ) -> None:
        """Keep a trained network.

        Args:
            network: With an `encoder`.
            settings: The codec's section.
            device: Where it encodes.
            sizes: What decides the latents besides weights; part of the hash.
            statistics: What the network standardises with; part of the hash.
        """
        self._network = network.to(device).eval()
        self._device = device
        self.sample_rate_hz = settings.sample_rate_hz
        self.hop_samples = settings.hop_samples
        self.num_dims = settings.num_dims
        self.may_lose_sound = settings.health.action == "report"
        self._hash = encoder_hash(repr(sizes), *statistics, self._network.encoder)

    def weight_hash(self) -> str:
        """Return the SHA-256 of the encoder, of sizes and of statistics."""
        return self._hash

    def weight_fault(self) -> str | None:
        """Refuse weights that are not finite, or an all-zero encoder."""
        return encoder_fault(self._network, self._network.encoder)


class Weights(NamedTuple):
    """What a trained codec's file holds.

    Attributes:
        path: The file.
        tensors: By name.
        bits_per_s: KL of the posterior on select that training left in the header, bits/s.
    """

    path: Path
    tensors: dict[str, Tensor]
    bits_per_s: float | None


def read_weights(files: Sequence[Path], kind: str) -> Weights:
    """Return what the file of a trained codec holds.

    Raises:
        InputError: The file is missing or damaged.
    """
    path = require_file(files, WEIGHTS, kind)
    arrays, header = read_bundle(path)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}
    return Weights(path, tensors, header.get("health", {}).get("rate_bits_per_s"))


def fill(network: nn.Module, tensors: dict[str, Tensor], path: Path) -> None:
    """Load tensors into a network and put it into evaluation mode.

    Raises:
        InputError: They were trained with other sizes.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    for name in sorted({*expected, *found}):
        if expected.get(name) != found.get(name):
            raise InputError(
                f"{path}: {name} has shape {found.get(name)}, but {expected.get(name)} is "
                f"configured; {REMEDY}"
            )
    network.load_state_dict(tensors)
    network.eval()


def encoder_hash(sizes: str, *parts: nn.Module | Tensor) -> str:
    """Return the SHA-256 of what decides the latents: sizes of the analysis, and weights."""
    digest = hashlib.sha256(sizes.encode())
    for part in parts:
        tensors = {"": part} if isinstance(part, Tensor) else part.state_dict()
        for name in sorted(tensors):
            digest.update(name.encode())
            digest.update(tensors[name].detach().cpu().numpy().tobytes())
    return digest.hexdigest()


def encoder_fault(network: nn.Module, encoder: nn.Module) -> str | None:
    """Return why weights cannot be those of a trained codec, or None."""
    if not all(bool(torch.isfinite(tensor).all()) for tensor in network.state_dict().values()):
        return "a weight is NaN or infinite"
    if not any(bool(weight.any()) for weight in encoder.parameters()):
        return "all encoder weights are zero"
    return None
