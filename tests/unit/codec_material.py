"""Small random-weight checkpoints of every codec family, saved as transformers saves them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from pydantic import TypeAdapter

from engram_audio.codecs.config import CodecSection
from engram_audio.codecs.registry import load_codec
from engram_audio.codecs.torch_codec import TorchCodec
from engram_audio.latents.self_tests import SelfTest
from engram_audio.provenance import canonical_json

SEANET = {"num_filters": 4, "num_residual_layers": 1}
ATTENTION = {
    "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 4, "head_dim": 8,
    "intermediate_size": 64,
}  # fmt: skip
MIMI = {
    "hidden_size": 64, **SEANET, **ATTENTION, "codebook_size": 32, "codebook_dim": 16,
    "vector_quantization_hidden_dimension": 16, "num_quantizers": 32, "upsample_groups": 64,
}  # fmt: skip
POCKET = {
    "hidden_size": 32, **SEANET, **ATTENTION, "upsample_groups": 32, "latent_dim": 32,
    # the checkpoints' 0.01 would hide what attention reaches
    "layer_scale_initial_scale": 0.5,
}  # fmt: skip
ENCODEC = {"hidden_size": 16, "num_filters": 4, "codebook_size": 16}
DAC = {"encoder_hidden_size": 4, "decoder_hidden_size": 64, "n_codebooks": 2, "codebook_size": 16}
VIBEVOICE = {
    "hidden_size": 16, "num_filters": 2, "depths": [1, 1, 1, 1, 1, 1, 2],
    "layer_scale_init_value": 0.5,
}  # fmt: skip

# name: kind, configuration class, model class, configuration, sections' own settings
FAMILIES: dict[str, tuple[str, str, str, dict[str, Any], dict[str, Any]]] = {
    "mimi": (
        "mimi", "MimiConfig", "MimiModel", MIMI,
        {"latent_space": "projected", "num_codebooks": None},
    ),
    "pocket_tts": (
        "pocket_tts", "PocketTTSAudioTokenizerConfig", "PocketTTSAudioTokenizerModel", POCKET, {},
    ),
    "encodec": ("encodec", "EncodecConfig", "EncodecModel", ENCODEC, {}),
    "dac_16khz": (
        "dac", "DacConfig", "DacModel",
        {**DAC, "downsampling_ratios": [2, 4, 5, 8], "sampling_rate": 16000}, {},
    ),
    "dac_44khz": (
        "dac", "DacConfig", "DacModel",
        {**DAC, "downsampling_ratios": [2, 4, 8, 8], "sampling_rate": 44100}, {},
    ),
    "vibevoice": (
        "vibevoice", "VibeVoiceAcousticTokenizerConfig", "VibeVoiceAcousticTokenizerModel",
        VIBEVOICE, {},
    ),
}  # fmt: skip


def random_model(name: str, **changes: Any) -> Any:
    """Return a small model of a family with seeded weights that pass signals at their level."""
    _, config_class, model_class, sizes, _ = FAMILIES[name]
    torch.manual_seed(0)
    config = getattr(transformers, config_class)(**{**sizes, **changes})
    model = getattr(transformers, model_class)(config)
    if name.startswith("mimi"):
        for buffer_name, buffer in model.quantizer.named_buffers():
            if buffer_name.endswith("embed_sum"):
                buffer.normal_()
    if name.startswith(("dac", "encodec", "vibevoice")):
        # Their initial weights let signals fade to less than rounding of the biases.
        for module in model.modules():
            if isinstance(module, torch.nn.Conv1d):
                weight = torch.empty_like(module.weight)
                torch.nn.init.kaiming_normal_(weight, nonlinearity="linear")
                with torch.no_grad():
                    module.weight = (
                        weight
                        if torch.nn.utils.parametrize.is_parametrized(module)
                        else torch.nn.Parameter(weight)
                    )
    return model


def save(name: str, folder: Path, **changes: Any) -> Path:
    """Save a small model of a family into a folder."""
    random_model(name, **changes).save_pretrained(folder)
    return folder


def load(
    name: str, folder: Path, num_workers: int = 1, device: str = "cpu", **changes: Any
) -> TorchCodec:
    """Load a saved model through the codec's adapter."""
    kind, *_, own = FAMILIES[name]
    values = {"kind": kind, "checkpoint": str(folder), "revision": None, "weights_sha256": None}
    text = canonical_json({**values, **own, **changes})
    settings: Any = TypeAdapter(CodecSection).validate_json(text)
    files = [Path(file) for file in settings.files()]
    codec = load_codec(settings, files, device, num_workers)
    assert isinstance(codec, TorchCodec)
    return codec


def assert_only_untrained(tests: Sequence[SelfTest]) -> None:
    """Random weights are sound in every way but one: their decodings are nobody's."""
    (failed,) = [test for test in tests if not test.is_passed]
    assert failed.name == "own_clip", tests
    assert (failed.value or 0) > 1.5  # other clips are far nearer than any decoding


def noise(num_samples: int, seed: int = 0) -> np.ndarray:
    """Return seeded noise, RMS 0.1."""
    return np.random.default_rng(seed).normal(0, 0.1, num_samples).astype(np.float32)
