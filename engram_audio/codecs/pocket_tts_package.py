"""The Pocket-TTS tokenizer through the `pocket-tts` package, from its own checkpoints.

The package encodes clips whole; its encoder's attention has a short window, so the context is
bounded. `encode_to_latent` and `decode_from_latent` changed their layout between versions 2 and 4:
other versions than 4 are refused, and the layout is checked.
"""

import importlib.metadata
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

from engram_audio.artifacts.json_document import read_json
from engram_audio.codecs.config import PocketTtsPackageCodecSettings
from engram_audio.codecs.receptive_field import Layer, reach_frames, seanet_layers
from engram_audio.codecs.torch_codec import TorchCodec
from engram_audio.codecs.transformers_model import pinned_sha256
from engram_audio.codecs.weights import require_file
from engram_audio.errors import InputError, one_line

DISTRIBUTION, MAJOR_VERSION = "pocket-tts", 4
INSTALL = "pip install 'pocket-tts>=4,<5' (the extra `pocket`)"


class PocketTtsPackageCodec(TorchCodec):
    """Adapter of `pocket_tts.models.mimi.MimiModel`; strictly causal."""

    is_causal = True
    latent_space = "posterior_mean"
    may_have_dead_dims = False

    def __init__(self, model: Any, config: Any, sha256: str, device: str, num_workers: int) -> None:
        """Keep a loaded model and the package's configuration of it."""
        super().__init__(model, sha256, device, num_workers)
        self.sample_rate_hz = int(config.sample_rate)
        self.hop_samples = int(model.frame_size)
        self.nominal_frame_rate_hz = float(config.frame_rate)
        self.num_dims = int(config.quantizer.dimension)
        net = config.seanet
        convolutions = seanet_layers(
            kernel=net.kernel_size,
            ratios=list(reversed(net.ratios)),
            num_residual_layers=net.n_residual_layers,
            dilation_growth=net.dilation_base,
            residual_kernel=net.residual_kernel_size,
            last_kernel=net.last_kernel_size,
        )
        self._steps_per_frame = round(model.encoder_frame_rate / config.frame_rate)
        last = Layer(2 * self._steps_per_frame, stride=self._steps_per_frame)
        attention = [Layer(config.transformer.context)] * config.transformer.num_layers
        self.cold_start_frames = reach_frames([*convolutions, last], self.hop_samples)[0]
        self.context_frames = reach_frames([*convolutions, *attention, last], self.hop_samples)[0]

    def _encoder_parts(self) -> Mapping[str, torch.nn.Module]:
        names = ("encoder", "encoder_transformer", "downsample")
        return {name: getattr(self._model, name) for name in names}

    def _latents(self, audio: torch.Tensor) -> torch.Tensor:
        latents = self._model.encode_to_latent(audio)
        expected = (len(audio), audio.shape[-1] // self.hop_samples, self.num_dims)
        if tuple(latents.shape) != expected:
            raise InputError(
                f"codecs (kind pocket_tts_package): encode_to_latent gave {tuple(latents.shape)}, "
                f"but frames come first in version {MAJOR_VERSION}, {expected}; {INSTALL}"
            )
        return latents

    def _audio(self, latents: torch.Tensor) -> torch.Tensor:
        from pocket_tts.modules.stateful_module import init_states

        steps = latents.shape[1] * self._steps_per_frame
        states = init_states(self._model, batch_size=1, sequence_length=steps)
        return self._model.decode_from_latent(latents, states)


def require_version() -> None:
    """Refuse a missing package, and one with another interface.

    Raises:
        InputError: `pocket-tts` is not installed, or not in version 4.
    """
    try:
        version = importlib.metadata.version(DISTRIBUTION)
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(
            f"codecs (kind pocket_tts_package): needs pocket-tts; {INSTALL}, or use kind pocket_tts"
        ) from error
    if version.split(".")[0] != str(MAJOR_VERSION):
        raise InputError(
            f"codecs (kind pocket_tts_package): pocket-tts {version} is installed, whose latents "
            f"have another layout than those of version {MAJOR_VERSION}; {INSTALL}"
        )


def _read_config(path: Path) -> Any:
    """Read the `mimi` section of a configuration of the package: a user's YAML, or our JSON."""
    from pocket_tts.utils.config import MimiConfig

    try:
        is_ours = path.suffix == ".json"
        document = read_json(path) if is_ours else yaml.safe_load(path.read_text(encoding="utf-8"))
        config = MimiConfig(**document["mimi"])
    except (yaml.YAMLError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path}: not a configuration of pocket-tts with a `mimi` section ({reason}); fetch it "
            "again"
        ) from error
    if config.inner_dim != config.quantizer.dimension:
        raise InputError(
            f"{path}: this encoder gives {config.inner_dim}-d voice features, not the "
            f"{config.quantizer.dimension}-d latents that the decoder reads; use a configuration "
            "whose inner_dim is quantizer.dimension, such as english_2026-10"
        )
    return config


def load(
    settings: PocketTtsPackageCodecSettings, files: Sequence[Path], device: str, num_workers: int
) -> PocketTtsPackageCodec:
    """Load the codec from local files (the registry's entry point); nothing is downloaded.

    Raises:
        InputError: The package is missing or has another interface, a file is missing or damaged,
            or the weights are not the pinned ones.
    """
    require_version()
    from pocket_tts.models.mimi import build_mimi
    from pocket_tts.modules.stateful_module import StatefulModule
    from pocket_tts.utils.weights_loading import get_mimi_state_dict

    torch.backends.cudnn.allow_tf32 = False  # float32 means float32, on a GPU as well
    weights = require_file(files, Path(settings.files()[0]).name, settings.kind)
    sha256 = pinned_sha256(weights, settings)
    config = _read_config(require_file(files, Path(settings.files()[1]).name, settings.kind))
    try:
        model = build_mimi(config)
        model.load_state_dict(get_mimi_state_dict(weights), strict=True)
    except Exception as error:  # of pocket-tts, safetensors and torch
        raise InputError(
            f"{weights}: cannot be loaded as the Mimi of pocket-tts ({one_line(error)}); fetch it "
            "again, or name the configuration that belongs to it"
        ) from error
    for name, module in model.named_modules():  # each finds its streaming state by this name
        if isinstance(module, StatefulModule):
            module._module_absolute_name = name
    return PocketTtsPackageCodec(model.float(), config, sha256, device, num_workers)
