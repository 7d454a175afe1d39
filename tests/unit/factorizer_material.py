"""Small factorisers and data for tests."""

import copy
from typing import Any

import numpy as np
import torch

from engram_audio.factorizer.config import FactorizerSection
from engram_audio.factorizer.model import Factorizer, FrameScales
from engram_audio.factorizer.task import ChunkData, FactorizerTask
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import TrainingState, train

CPU = torch.device("cpu")
NETWORK = {"kind": "gru", "width": 8, "num_layers": 1, "num_heads": 2, "context_frames": 4}
DOCUMENT: dict[str, Any] = {
    "recipe": "r",
    "chunk_frames": 16,
    "burn_in_frames": 4,
    "encoder": NETWORK,
    "state": {
        "rate": "charged",
        "num_dims": 2,
        "is_whitened": True,
        "stride_frames": 1,
        "upsampler": "piecewise_constant",
        "linear_context_frames": 3,
    },
    "dynamics": {
        "network": NETWORK,
        "density": "gaussian",
        "num_components": 1,
        "fixed_sigma": None,
    },
    "innovation": {"prior": "gaussian", "num_dims": 3, "num_components": 2},
    "decoder": {"kind": "additive", "width": 8, "noise": "shared", "fixed_noise_sd": None},
    "loss": {
        "kl": {
            "mode": "beta",
            "beta": 1.0,
            "free_nats": 0.0,
            "num_groups": 1,
            "target_nats": 0.0,
            "posterior_weight": None,
            "warmup_steps": 0,
        },
        "dynamics_weight": 0.0,
        "utility_weight": 0.0,
        "utility_horizons_frames": [],
        "rollout_weight": 0.0,
        "rollout_horizon_frames": 1,
        "rollout_curriculum_steps": 0,
        "teacher_fraction": 0.0,
        "prior_sampled_fraction": 0.0,
        "feature_weight": 0.0,
    },
}
RECIPE = {
    "num_steps": 100,
    "batch_frames": 512,
    "learning_rate": 5e-3,
    "weight_decay": 0.0,
    "warmup_steps": 5,
    "schedule": "cosine",
    "final_learning_rate_fraction": 0.0,
    "gradient_clip": 1.0,
    "precision": "float32",
    "validation_interval_steps": 50,
    "patience_validations": None,
    "maximum_validation_frames": 2048,
    "checkpoint_interval_steps": 25,
    "is_tensorboard_logged": False,
}


def settings(**changes: Any) -> FactorizerSection:
    """The small section with dotted keys changed (`state__rate="free"`)."""
    document = copy.deepcopy(DOCUMENT)
    for key, value in changes.items():
        *path, last = key.split("__")
        place = document
        for part in path:
            place = place[part]
        place[last] = value
    return FactorizerSection.model_validate(document, strict=False)


def recipe(**changes: Any) -> TrainingRecipe:
    """The small recipe with keys changed."""
    return TrainingRecipe.model_validate({**RECIPE, **changes}, strict=False)


def small_model(num_dims: int = 4, seed: int = 0, **changes: Any) -> Factorizer:
    """An untrained factoriser of latents with mean 0.5 and SD 2."""
    scales = FrameScales(torch.full((num_dims,), 0.5), torch.full((num_dims,), 2.0))
    return Factorizer(settings(**changes), scales, 0.0, seed)


def slow_frames(
    num_utterances: int = 60, num_frames: int = 40, num_dims: int = 4, seed: int = 0
) -> tuple[torch.Tensor, np.ndarray]:
    """A two-dimensional AR(1) state (r = .95) seen through noise; frames [N, D] and offsets."""
    generator = np.random.default_rng(seed)
    mixing = generator.normal(size=(2, num_dims))
    state = generator.normal(size=(num_utterances, 2))
    frames = np.empty((num_utterances, num_frames, num_dims), np.float32)
    for step in range(num_frames):
        noise = generator.normal(size=state.shape)
        state = 0.95 * state + np.sqrt(1 - 0.95**2) * noise
        frames[:, step] = state @ mixing + 0.5 * generator.normal(size=(num_utterances, num_dims))
    offsets = np.arange(num_utterances + 1) * num_frames
    return torch.from_numpy(frames.reshape(-1, num_dims)), offsets.astype(np.int64)


def small_task(
    section: FactorizerSection, feature_map: torch.Tensor | None = None, seed: int = 0
) -> FactorizerTask:
    """A task on `slow_frames`: 50 train and 10 val utterances."""
    frames, offsets = slow_frames()
    scales = FrameScales(frames.mean(0), frames.std(0))
    model = Factorizer(section, scales, 0.0, seed)
    chunk = (section.chunk_frames, section.burn_in_frames)
    return FactorizerTask(
        model,
        ChunkData(frames, offsets, np.arange(50), *chunk),
        ChunkData(frames, offsets, np.arange(50, 60), *chunk),
        CPU,
        feature_map,
    )


def trained(
    section: FactorizerSection,
    feature_map: torch.Tensor | None = None,
    state: TrainingState | None = None,
    **changes: Any,
) -> FactorizerTask:
    """A trained small task; `details` are those of the kept weights."""
    task = small_task(section, feature_map)
    train(task, recipe(**changes), 0, CPU, state)
    task.model.eval()
    with torch.no_grad():
        task.validate()
    return task
