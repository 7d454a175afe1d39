"""Small trained codecs and made-up voices for the tests of codec training."""

from typing import Any

import numpy as np
import torch

from engram_audio.codecs.fitted_config import MelVaeCodecSettings, VaeCodecSettings

CPU = torch.device("cpu")
RATE_HZ = 8000
RECIPE = {
    "num_steps": 40, "batch_frames": 32, "learning_rate": 2e-3, "weight_decay": 0.01,
    "warmup_steps": 5, "schedule": "cosine", "final_learning_rate_fraction": 0.0,
    "gradient_clip": 10.0, "precision": "float32", "validation_interval_steps": 10,
    "patience_validations": None, "maximum_validation_frames": 256,
    "checkpoint_interval_steps": 7, "is_tensorboard_logged": False,
}  # fmt: skip
SHARED = {
    "corpus": "speech", "split_seed": 0, "sample_rate_hz": RATE_HZ, "num_dims": 4, "beta": 1.0,
    "beta_warmup_steps": 0, "predictability": None, "crop_s": 0.32, "maximum_train_h": 1.0,
    "seed": 0,
    "health": {"minimum_effective_rank": 0.25, "maximum_error": 0.7, "action": "fail"},
}  # fmt: skip
MEL_VAE = {
    **SHARED, "kind": "mel_vae", "num_mels": 20, "hop_s": 0.01, "window_s": 0.04, "stack_hops": 8,
    "magnitude_floor": 1e-4, "griffin_lim_iterations": 4, "width": 32, "num_layers": 2,
    "encoder_context_frames": 1, "decoder_context_frames": 1,
}  # fmt: skip
LOSS = {
    "waveform_weight": 0.1, "spectral_weight": 1.0, "spectral_windows_samples": [64, 256],
    "magnitude_floor": 1e-4, "adversarial_weight": 1.0, "feature_weight": 1.0,
    "adversarial_warmup_steps": 0, "discriminator_windows_samples": [64, 256],
    "discriminator_channels": 4,
}  # fmt: skip
VAE = {
    **SHARED, "kind": "vae", "beta": 0.01, "strides": [4, 8, 20], "channels": 8,
    "maximum_channels": 32, "num_residual_units": 1, "loss": LOSS, "keeps": "best",
}  # fmt: skip


def merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A section with changes, groups merged one level deep."""
    result = {**base, "recipe": RECIPE}
    for name, value in changes.items():
        result[name] = {**result[name], **value} if isinstance(value, dict) else value
    return result


def mel_vae_settings(**changes: Any) -> MelVaeCodecSettings:
    return MelVaeCodecSettings.model_validate(merged(MEL_VAE, changes), strict=False)


def vae_settings(**changes: Any) -> VaeCodecSettings:
    return VaeCodecSettings.model_validate(merged(VAE, changes), strict=False)


def voice(seed: int, duration_s: float = 2.0, rate_hz: int = RATE_HZ) -> np.ndarray:
    """Harmonics of a gliding pitch under a moving envelope, with a little noise."""
    generator = np.random.default_rng(seed)
    time = np.arange(int(duration_s * rate_hz)) / rate_hz
    pitch = 120 + 40 * np.sin(2 * np.pi * (0.5 + generator.random()) * time + seed)
    phase = 2 * np.pi * np.cumsum(pitch) / rate_hz
    loudness = 0.05 + 0.2 * np.abs(np.sin(2 * np.pi * 3 * time + seed))
    tones = sum(np.sin(n * phase + n * seed) / n for n in range(1, 12))
    return (loudness * tones + 0.002 * generator.normal(size=len(time))).astype(np.float32)


def voices(first: int, count: int) -> list[np.ndarray]:
    return [voice(seed) for seed in range(first, first + count)]
