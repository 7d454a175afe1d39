"""The Pocket-TTS tokenizer through transformers: the VAE of CALM, 32-d at 12.5 Hz from 24 kHz.

Latents are posterior means: the posterior's variance is not published. The checkpoint that needs no
login ships an encoder of zeros, which the self-tests refuse.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from engram_audio.codecs.config import PocketTtsCodecSettings
from engram_audio.codecs.pieces import mimi_pieces, stream_encoder
from engram_audio.codecs.receptive_field import Layer, reach_frames
from engram_audio.codecs.torch_codec import TorchCodec
from engram_audio.codecs.transformers_model import load_model, seanet_of
from engram_audio.errors import InputError


class PocketTtsCodec(TorchCodec):
    """Adapter of `transformers.PocketTTSAudioTokenizerModel`; strictly causal."""

    is_causal = True
    latent_space = "posterior_mean"
    may_have_dead_dims = False

    def __init__(self, model: Any, sha256: str, device: str, num_workers: int) -> None:
        """Keep a loaded model."""
        super().__init__(model, sha256, device, num_workers)
        config = model.config
        self.sample_rate_hz = int(config.sampling_rate)
        self.hop_samples = int(config.frame_size)
        self.nominal_frame_rate_hz = float(config.frame_rate)
        self.num_dims = int(config.latent_dim)
        stride = int(config.latent_stride)
        convolutions, last = seanet_of(config), Layer(2 * stride, stride=stride)
        attention = [Layer(int(config.sliding_window))] * int(config.num_hidden_layers)
        self.cold_start_frames = reach_frames([*convolutions, last], self.hop_samples)[0]
        self.context_frames = reach_frames([*convolutions, *attention, last], self.hop_samples)[0]
        if device == "cpu":
            self._pieces = mimi_pieces(
                model.encoder, convolutions, self.sample_rate_hz, lambda latents: latents
            )

    def _encoder_parts(self) -> Mapping[str, torch.nn.Module]:
        encoder = self._model.encoder
        names = ("encoder_seanet", "encoder_transformer", "downsample")
        return {name: getattr(encoder, name) for name in names}

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        return self._model.encode(audio).latents

    def _streamed(self, audio: torch.Tensor, chunk_samples: int) -> torch.Tensor | None:
        return stream_encoder(self._model.encoder, audio, chunk_samples).transpose(1, 2)

    def _audio(self, latents: torch.Tensor) -> torch.Tensor:
        return self._model.decode(latents).audio_values


def load(
    settings: PocketTtsCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> PocketTtsCodec:
    """Load the codec from a local folder (the registry's entry point); nothing is downloaded.

    Raises:
        InputError: A file is missing or damaged, the weights are not the pinned ones, or the
            checkpoint holds only one half of the codec.
    """
    model, sha256 = load_model("PocketTTSAudioTokenizerModel", settings, files)
    if model.encoder is None or model.decoder is None:
        half = "encoder" if model.encoder is None else "decoder"
        raise InputError(
            f"codecs (kind pocket_tts): the checkpoint {settings.checkpoint} has no {half}; use "
            "one with both halves"
        )
    return PocketTtsCodec(model, sha256, device, num_workers)
