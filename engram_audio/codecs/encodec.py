"""EnCodec at 24 kHz through transformers: 128-d latents at 75 Hz, before the quantiser.

An LSTM carries state over the whole clip, so clips are encoded whole. The first convolutions mirror
the audio at its head, so the frames of the cold start see a little of their future.
"""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn.utils import parametrize

from engram_audio.codecs.channels_last import channels_last
from engram_audio.codecs.config import EncodecCodecSettings
from engram_audio.codecs.pieces import PieceEncoder, convolutional_pieces, cut_seanet
from engram_audio.codecs.receptive_field import reach_frames
from engram_audio.codecs.torch_codec import TorchCodec
from engram_audio.codecs.transformers_model import NO_ATTENTION, load_model, seanet_of
from engram_audio.errors import InputError


class EncodecCodec(TorchCodec):
    """Adapter of `transformers.EncodecModel`; causal beyond the cold start."""

    is_causal = True
    latent_space = "pre_quantizer"

    def __init__(self, model: Any, sha256: str, device: str, num_workers: int) -> None:
        """Keep a loaded model; its weight normalisation is folded into the weights."""
        super().__init__(fold_weight_norm(model), sha256, device, num_workers)
        config = model.config
        self.sample_rate_hz = int(config.sampling_rate)
        self.hop_samples = int(config.hop_length)
        self.num_dims = int(config.hidden_size)
        self.cold_start_frames = reach_frames(seanet_of(config), self.hop_samples)[0]
        if device == "cpu":
            self._pieces = pieces_of(model.encoder.layers, config)

    def _encoder_parts(self) -> Mapping[str, torch.nn.Module]:
        return {"encoder": self._model.encoder}

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        return self._model.encoder(audio).transpose(1, 2)

    def _audio(self, latents: torch.Tensor) -> torch.Tensor:
        return self._model.decoder(latents.transpose(1, 2))


def pieces_of(modules: Any, config: Any) -> PieceEncoder:
    """Cut the encoder; one step of the LSTM for many clips costs little more than for one."""
    layers, rate_hz = seanet_of(config), int(config.sampling_rate)
    front, early, late = cut_seanet(modules, layers, rate_hz)
    # Mirroring is slow, and only a clip's own beginning needs it.
    rest = channels_last(without_mirroring(early))
    return convolutional_pieces(front, rest, channels_last(late), rate_hz, channels_last(early))


def without_mirroring(modules: torch.nn.Module) -> Any:
    """Return a copy whose convolutions pad with zeros."""
    copied = copy.deepcopy(modules)
    convolutions: list[Any] = [one for one in copied.modules() if hasattr(one, "pad_mode")]
    for convolution in convolutions:
        convolution.pad_mode = "constant"
    return copied


def fold_weight_norm(model: Any) -> Any:
    """Compute weight-normalised weights once instead of at every call, in place.

    Directions of zeros stay zeros, which `weight_fault` names; normalised they would be NaN.
    """
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            direction = module.parametrizations.weight.original1
            is_zero = not bool(direction.any())
            parametrize.remove_parametrizations(module, "weight")
            if is_zero:
                torch.nn.init.zeros_(module.weight)
    return model


def load(
    settings: EncodecCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> EncodecCodec:
    """Load the codec from a local folder (the registry's entry point); nothing is downloaded.

    Raises:
        InputError: A file is missing or damaged, the weights are not the pinned ones, or it is the
            48 kHz model.
    """
    model, sha256 = load_model("EncodecModel", settings, files, NO_ATTENTION)
    config = model.config
    if config.normalize or config.chunk_length_s is not None or config.audio_channels != 1:
        raise InputError(
            f"codecs (kind encodec): the checkpoint {settings.checkpoint} is a model of "
            f"{config.audio_channels} channel(s) at {config.sampling_rate} Hz that normalises "
            "loudness or encodes in chunks, so a frame depends on its whole chunk; use the mono "
            "24 kHz model"
        )
    if config.norm_type != "weight_norm":
        raise InputError(
            f"codecs (kind encodec): the checkpoint {settings.checkpoint} normalises over whole "
            f"clips (norm_type is {config.norm_type}); use the mono 24 kHz model"
        )
    if not config.use_causal_conv:
        raise InputError(
            f"codecs (kind encodec): the checkpoint {settings.checkpoint} is not causal "
            "(use_causal_conv is false); use the mono 24 kHz model"
        )
    return EncodecCodec(model, sha256, device, num_workers)
