"""DAC at 16, 24 or 44.1 kHz through transformers: 1024-d latents before the quantiser.

Its convolutions are symmetric, so every latent holds audio of the frames after it: declared not
causal. Hop and rate are read from the checkpoint; the variants differ in both.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from engram_audio.codecs.channels_last import channels_last
from engram_audio.codecs.config import DacCodecSettings
from engram_audio.codecs.pieces import (
    PieceEncoder,
    before_strides,
    convolutional_pieces,
    front_of,
)
from engram_audio.codecs.receptive_field import Layer, reach_frames
from engram_audio.codecs.torch_codec import TorchCodec
from engram_audio.codecs.transformers_model import NO_ATTENTION, load_model

EDGE_KERNEL, LAST_KERNEL = 7, 3  # of the first and the last convolution, and of the residual units
RESIDUAL_DILATIONS = (1, 3, 9)


class DacCodec(TorchCodec):
    """Adapter of `transformers.DacModel`; looks ahead."""

    is_causal = False
    latent_space = "pre_quantizer"

    def __init__(self, model: Any, sha256: str, device: str, num_workers: int) -> None:
        """Keep a loaded model."""
        super().__init__(model, sha256, device, num_workers)
        config = model.config
        self.sample_rate_hz = int(config.sampling_rate)
        self.hop_samples = math.prod(int(ratio) for ratio in config.downsampling_ratios)
        self.num_dims = int(config.hidden_size)
        layers = convolutions(config.downsampling_ratios)
        before, after = reach_frames(layers, self.hop_samples)
        self.context_frames = self.cold_start_frames = before
        self.lookahead_frames = after
        if device == "cpu":
            self._pieces = pieces_of(model.encoder, layers, self.sample_rate_hz)

    def _encoder_parts(self) -> Mapping[str, torch.nn.Module]:
        return {"encoder": self._model.encoder}

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        return self._model.encoder(audio).transpose(1, 2)

    def _audio(self, latents: torch.Tensor) -> torch.Tensor:
        return self._model.decoder(latents.transpose(1, 2))


class Snake(nn.Module):
    """The model's activation, x + sin(a x)^2 / a, in place and over rows of channels."""

    def __init__(self, original: Any) -> None:
        """Take over the frequencies."""
        super().__init__()
        alpha = original.alpha.detach().reshape(-1)
        self._alpha, self._weight = alpha, (alpha + 1e-9).reciprocal()

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Map [B, C, M] to the same."""
        rows = hidden.transpose(1, 2)
        squares = (rows * self._alpha).sin_().square_()
        return torch.addcmul(rows, squares, self._weight).transpose(1, 2)


def pieces_of(encoder: Any, layers: Sequence[Layer], rate_hz: int) -> PieceEncoder:
    """Cut the encoder after one of its strides."""
    encoder = channels_last(encoder, {type(encoder.snake1): Snake})
    front = front_of(layers, [number + 1 for number in before_strides(layers)], rate_hz)
    early = [encoder.conv1, *encoder.block[: front.cut + 1]]
    late = [*encoder.block[front.cut + 1 :], encoder.snake1, encoder.conv2]
    return convolutional_pieces(front, early, late, rate_hz)


def convolutions(ratios: Sequence[int]) -> list[Layer]:
    """Return the encoder's convolutions, with the padding that each has on its left."""
    layers = [Layer(EDGE_KERNEL, padding_left=EDGE_KERNEL // 2)]
    for ratio in ratios:
        for dilation in RESIDUAL_DILATIONS:
            left = (EDGE_KERNEL - 1) * dilation // 2
            layers.append(Layer(EDGE_KERNEL, dilation=dilation, padding_left=left))
        layers.append(Layer(2 * ratio, stride=ratio, padding_left=math.ceil(ratio / 2)))
    return [*layers, Layer(LAST_KERNEL, padding_left=LAST_KERNEL // 2)]


def load(
    settings: DacCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> DacCodec:
    """Load the codec from a local folder (the registry's entry point); nothing is downloaded.

    Raises:
        InputError: A file is missing or damaged, or the weights are not the pinned ones.
    """
    model, sha256 = load_model("DacModel", settings, files, NO_ATTENTION)
    return DacCodec(model, sha256, device, num_workers)
