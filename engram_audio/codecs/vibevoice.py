"""The VibeVoice acoustic tokenizer through transformers: 64-d latents at 7.5 Hz from 24 kHz.

The encoder's output is taken as it is; the noise that the model adds in training is left out, so
the same audio gives the same latents.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from engram_audio.codecs.channels_last import channels_last
from engram_audio.codecs.config import VibeVoiceCodecSettings
from engram_audio.codecs.pieces import (
    PieceEncoder,
    before_strides,
    convolutional_pieces,
    front_of,
)
from engram_audio.codecs.receptive_field import Layer, reach_frames
from engram_audio.codecs.torch_codec import TorchCodec
from engram_audio.codecs.transformers_model import NO_ATTENTION, load_model

SAMPLE_RATE_HZ = 24000  # of the published tokenizer; its configuration does not state it


class VibeVoiceCodec(TorchCodec):
    """Adapter of `transformers.VibeVoiceAcousticTokenizerModel`; strictly causal."""

    is_causal = True
    latent_space = "posterior_mean"
    sample_rate_hz = SAMPLE_RATE_HZ

    def __init__(self, model: Any, sha256: str, device: str, num_workers: int) -> None:
        """Keep a loaded model."""
        super().__init__(model, sha256, device, num_workers)
        config = model.config
        self.hop_samples = int(config.hop_length)
        self.num_dims = int(config.hidden_size)
        kernel, ratios = int(config.kernel_size), [int(r) for r in config.downsampling_ratios]
        # The residual blocks reach far (54 frames of the published model's 60) with small weights;
        # a head that lacks them is what any clip in training had. Only the trunk is cold.
        self.cold_start_frames = reach_frames(encoder_layers(kernel, ratios), self.hop_samples)[0]
        depths = [int(depth) for depth in config.depths]
        layers = encoder_layers(kernel, ratios, depths)
        self.context_frames = reach_frames(layers, self.hop_samples)[0]
        if device == "cpu":
            self._pieces = pieces_of(model.encoder, layers)

    def _encoder_parts(self) -> Mapping[str, torch.nn.Module]:
        encoder = self._model.encoder
        return {"stem": encoder.stem, "conv_layers": encoder.conv_layers, "head": encoder.head}

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        return self._model.encode(audio, sample=False).latents

    def _streamed(self, audio: torch.Tensor, chunk_samples: int) -> torch.Tensor | None:
        cache, latents = None, []
        for piece in audio.split(chunk_samples, dim=-1):
            output = self._model.encode(piece, padding_cache=cache, use_cache=True, sample=False)
            cache = output.padding_cache
            latents.append(output.latents)
        return torch.cat(latents, dim=1)

    def _audio(self, latents: torch.Tensor) -> torch.Tensor:
        return self._model.decode(latents).audio


def pieces_of(encoder: Any, layers: Sequence[Layer]) -> PieceEncoder:
    """Cut the encoder before one of its strides."""
    encoder = channels_last(encoder)
    front = front_of(layers, before_strides(layers), SAMPLE_RATE_HZ)
    early = [encoder.stem, *encoder.conv_layers[: front.cut]]
    late = [*encoder.conv_layers[front.cut :], encoder.head]
    return convolutional_pieces(front, early, late, SAMPLE_RATE_HZ)


def encoder_layers(kernel: int, ratios: Sequence[int], depths: Sequence[int] = ()) -> list[Layer]:
    """Return the encoder's convolutions; those of residual blocks where `depths` counts them."""
    depths = list(depths) or [0] * (len(ratios) + 1)
    layers = [Layer(kernel)] * (1 + depths[0])
    for ratio, depth in zip(ratios, depths[1:], strict=True):
        layers += [Layer(2 * ratio, stride=ratio), *[Layer(kernel)] * depth]
    return [*layers, Layer(kernel)]


def load(
    settings: VibeVoiceCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> VibeVoiceCodec:
    """Load the codec from a local folder (the registry's entry point); nothing is downloaded.

    Raises:
        InputError: A file is missing or damaged, or the weights are not the pinned ones.
    """
    model, sha256 = load_model("VibeVoiceAcousticTokenizerModel", settings, files, NO_ATTENTION)
    return VibeVoiceCodec(model, sha256, device, num_workers)
