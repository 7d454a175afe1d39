"""Mimi through transformers: 512-d latents at 12.5 Hz from 24 kHz, in three spaces.

- `pre_quantizer`: what the encoder gives. The decoder was not trained on it.
- `projected`: the sum of the semantic and the acoustic quantiser's projections, without quantising;
  the space the decoder reads.
- `codebooks`: the same sum after quantising with the first n codebooks; n = 1, 2, 4, .. 32 is a
  ladder of rates inside one encoder.

Shapes: B clips, S samples, T frames, D dimensions.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engram_audio.codecs.config import MimiCodecSettings
from engram_audio.codecs.pieces import mimi_pieces, stream_encoder
from engram_audio.codecs.receptive_field import Layer, reach_frames
from engram_audio.codecs.torch_codec import TorchCodec
from engram_audio.codecs.transformers_model import load_model, seanet_of
from engram_audio.errors import InputError


class MimiCodec(TorchCodec):
    """Adapter of `transformers.MimiModel`; strictly causal."""

    is_causal = True

    def __init__(
        self,
        model: Any,
        settings: MimiCodecSettings,
        sha256: str,
        device: str,
        num_workers: int,
    ) -> None:
        """Keep a loaded model."""
        super().__init__(model, sha256, device, num_workers)
        config = model.config
        self._num_codebooks = settings.num_codebooks
        self._space = settings.latent_space
        self.is_quantized = self._space == "codebooks"
        self.sample_rate_hz = int(config.sampling_rate)
        self.hop_samples = samples_per_frame(config)
        self.nominal_frame_rate_hz = float(config.frame_rate)
        self.num_dims = int(config.hidden_size)
        self.cold_start_frames = convolution_cold_start(config, self.hop_samples)
        self.context_frames = attention_context(config, self.hop_samples)
        self.latent_space = (
            f"{self._space}_{self._num_codebooks}" if self._num_codebooks else self._space
        )

        if self._num_codebooks:
            code_bits = float(np.log2(config.codebook_size))
            self.bits_per_s = self._num_codebooks * code_bits * self.frame_rate_hz
        if device == "cpu":
            layers = seanet_of(config)
            self._pieces = mimi_pieces(model.encoder, layers, self.sample_rate_hz, self._in_space)

    def weight_fault(self) -> str | None:
        """Refuse an encoder or, for codebooks, a quantiser whose weights are all zero."""
        fault = super().weight_fault()
        if fault is None and self._space == "codebooks":
            buffers = [
                buffer for name, buffer in self._model.quantizer.named_buffers() if "embed" in name
            ]
            if all(not bool(buffer.any()) for buffer in buffers):
                return "all codebooks are zero; this checkpoint cannot quantise"
        return fault

    def _encoder_parts(self) -> Mapping[str, torch.nn.Module]:
        encoder = self._model.encoder
        names = ("encoder_seanet", "encoder_transformer", "downsample")
        return {name: getattr(encoder, name) for name in names}

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        return self._in_space(self._model.encoder(audio).latents).transpose(1, 2)

    def _streamed(self, audio: torch.Tensor, chunk_samples: int) -> torch.Tensor | None:
        latents = stream_encoder(self._model.encoder, audio, chunk_samples)
        return self._in_space(latents).transpose(1, 2)

    def _audio(self, latents: torch.Tensor) -> torch.Tensor:
        inputs = latents.transpose(1, 2)
        if self._space == "pre_quantizer":
            inputs = self._projected(inputs)
        return self._model.decoder(inputs).audio_values

    def _in_space(self, latents: torch.Tensor) -> torch.Tensor:
        """Return the encoder's output [B, D, T] in the space that is asked for."""
        if self._space == "pre_quantizer":
            return latents
        if self._space == "projected":
            return self._projected(latents)
        codes = self._model.quantizer.encode(latents, self._num_codebooks).transpose(0, 1)
        return self._model.quantizer.decode(codes)

    def _projected(self, latents: torch.Tensor) -> torch.Tensor:
        """Pass both quantisers' projections, [B, D, T] to [B, D, T]; both read the same latents."""
        quantizer = self._model.quantizer
        halves = (
            quantizer.semantic_residual_vector_quantizer,
            quantizer.acoustic_residual_vector_quantizer,
        )
        return sum(half.output_proj(half.input_proj(latents)) for half in halves)  # type: ignore[return-value]


def samples_per_frame(config: Any) -> int:
    """Return the hop in samples: the strides of the encoder's convolutions, multiplied."""
    return int(np.prod(config.upsampling_ratios)) * _latent_stride(config)


def _latent_stride(config: Any) -> int:
    """Return the stride of the last convolution, from the encoder's rate to the frame rate."""
    encoder_rate = config.sampling_rate / np.prod(config.upsampling_ratios)
    return round(float(encoder_rate / config.frame_rate))


def _downsampling(config: Any) -> list[Layer]:
    stride = _latent_stride(config)
    return [Layer(2 * stride, stride=stride)] if stride > 1 else []


def convolution_cold_start(config: Any, hop_samples: int) -> int:
    """Return how many frames at the head have convolutions that reach before the first sample.

    Attention reaches further back (`sliding_window`), as in any utterance that the checkpoint was
    trained on.
    """
    return reach_frames([*seanet_of(config), *_downsampling(config)], hop_samples)[0]


def attention_context(config: Any, hop_samples: int) -> int:
    """Return how many frames back a frame can depend on, through all layers of attention."""
    attention = [Layer(int(config.sliding_window))] * int(config.num_hidden_layers)
    layers = [*seanet_of(config), *attention, *_downsampling(config)]
    return reach_frames(layers, hop_samples)[0]


def load(
    settings: MimiCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> MimiCodec:
    """Load the codec from a local folder (the registry's entry point); nothing is downloaded.

    Raises:
        InputError: A file is missing or damaged, the weights are not the pinned ones, or the
            checkpoint has fewer codebooks than are asked for.
    """
    model, sha256 = load_model("MimiModel", settings, files)
    available = int(model.config.num_quantizers)
    if settings.num_codebooks is not None and settings.num_codebooks > available:
        raise InputError(
            f"codecs (kind mimi): num_codebooks is {settings.num_codebooks}, but the checkpoint "
            f"{settings.checkpoint} has {available}"
        )
    return MimiCodec(model, settings, sha256, device, num_workers)
