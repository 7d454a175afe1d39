"""Small worlds and methods for tests of the rollout stage."""

from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Density
from engram_audio.densities.fit import Material, train_head
from engram_audio.rollout.config import RolloutSection
from engram_audio.rollout.forecasts import Gaussians
from engram_audio.rollout.method_config import AnyMethod, MethodSection
from engram_audio.rollout.paths import Starts, collect_starts, other_starts
from engram_audio.rollout.simulate import Limits
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks
from tests.unit.factorizer_material import recipe
from tests.unit.prediction_material import World, first_order, head_settings, make_world

CPU = torch.device("cpu")
ROLLOUT: dict[str, Any] = {
    "horizon_frames": 8, "forecast_horizon_frames": 4, "scored_horizons_frames": [1, 4, 8],
    "num_starts": 40, "num_samples": 32, "num_long_samples": 4, "injections_frames": [2],
    "divergence_factor": 10.0, "frozen_fraction": 0.1, "frozen_frames": 4,
    "autocovariance_lags_frames": 3, "maximum_energy_frames": 400, "support_frames": 400,
    "batch_paths": 512, "seed": 0,
}  # fmt: skip
METHODS: dict[str, dict[str, Any]] = {
    "one_step": {"kind": "one_step", "base": "head", "guard": None},
    "k_step": {
        "kind": "k_step", "base": "head", "guard": None, "recipe": "r", "horizon_frames": 4,
        "teacher_weight": 0.1, "state_weight": 0.1, "scheduled_fraction": 0.5,
    },
    "energy": {
        "kind": "energy", "base": "head", "guard": None, "recipe": "r", "horizon_frames": 3,
        "num_samples": 4, "fairness": 0.95, "teacher_weight": 0.1,
    },
    "noise": {
        "kind": "noise", "base": "head", "guard": None, "recipe": "r", "maximum_level": 0.3,
        "running_level": 0.0, "width": 8,
    },
    "belief": {"kind": "belief", "recipe": "r", "horizon_frames": 4, "width": 8},
    "direct": {
        "kind": "direct", "recipe": "r", "horizons_frames": [1, 2, 3, 4, 8], "width": 8,
        "order_frames": 2, "ridge": 1e-4,
    },
}  # fmt: skip
TRAINED = tuple(name for name in METHODS if name != "one_step")


def rollout_section(**changes: Any) -> RolloutSection:
    """The small stage with keys changed."""
    return RolloutSection.model_validate({**ROLLOUT, **changes}, strict=False)


def method(name: str, **changes: Any) -> AnyMethod:
    """A small method with keys changed."""
    document = {**METHODS[name], **changes}
    return TypeAdapter(MethodSection).validate_python(document, strict=False)


def small_world(num_dims: int = 3, correlation: float = 0.7) -> World:
    """An AR(1) in each dimension."""
    return make_world(first_order(correlation, num_dims))


def small_head(world: World, seed: int = 0, **changes: Any) -> nn.Module:
    """A head of one step, trained for a moment."""
    settings = head_settings("gaussian_mixture", num_components=2)
    model, _, _ = train_head(
        settings, small_recipe(**{"num_steps": 20, **changes}), world.material, 1, "delta", seed,
        CPU, None, Callbacks(),
    )  # fmt: skip
    return model


def small_recipe(**changes: Any) -> TrainingRecipe:
    """A recipe of a few steps."""
    few = {"num_steps": 20, "batch_frames": 128, "validation_interval_steps": 10,
           "checkpoint_interval_steps": 7, "maximum_validation_frames": 512}  # fmt: skip
    return recipe(**{**few, **changes})


def eval_starts(world: World, horizon: int = 8, minimum: int = 4, count: int = 40) -> Starts:
    """Starts on the eval speakers of a small world."""
    return collect_starts(
        lambda: iter([world.eval]), world.material.reference.speakers,
        world.material.window_frames, horizon, minimum, count,
    )  # fmt: skip


def eval_others(world: World, starts: Starts, minimum: int = 4) -> Starts:
    """Other starts of the same utterances."""
    speakers = world.material.reference.speakers
    return other_starts(lambda: iter([world.eval]), speakers, starts, minimum)


def limits_of(material: Material, factor: float = 10.0) -> Limits:
    """Where a path has blown up."""
    reference = material.reference
    return Limits(
        torch.from_numpy(np.asarray(reference.frame_mean, dtype=np.float32)),
        torch.from_numpy(np.asarray(reference.frame_sd, dtype=np.float32)),
        factor,
    )


class LinearStep(Density):
    """x_t = a x_{t-1} + b x_{t-2} + sd n, as a density of position."""

    target = "position"

    def __init__(self, first: float, second: float = 0.0, sd: float = 1.0) -> None:
        super().__init__()
        self.first, self.second, self.sd = first, second, sd

    def mean(self, batch: Batch) -> Tensor:
        return self.first * batch.context[:, -1] + self.second * batch.context[:, -2]

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        mean = self.mean(batch)
        noise = torch.randn((num_samples, *mean.shape), generator=generator)
        return mean + self.sd * noise

    def log_prob(self, batch: Batch) -> Tensor:
        mean = self.mean(batch)
        return Gaussians(mean, torch.full_like(mean, self.sd)).log_prob(batch.current)


def flat_starts(
    num_starts: int, horizon: int, num_dims: int = 2, window: int = 3, seed: int = 1
) -> Starts:
    """White noise of unit variance: histories, futures, two utterances of each speaker."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randn((num_starts, window + horizon, num_dims), generator=generator)
    names = np.array([f"s{number // 2}" for number in range(num_starts)])
    utterances = np.array([f"u{number}" for number in range(num_starts)])
    return Starts(
        frames[:, :window], frames[:, window:], torch.full((num_starts,), horizon),
        torch.zeros(num_starts, num_dims), names, utterances,
        np.zeros(num_starts, dtype=int),
    )  # fmt: skip


def unit_limits(num_dims: int = 2, factor: float = 10.0) -> Limits:
    """Limits of data of unit variance."""
    return Limits(torch.zeros(num_dims), torch.ones(num_dims), factor)
