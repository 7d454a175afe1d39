"""Densities of delta and position at every horizon: diagonal Gaussians, one matched family.

Shapes: S samples, N starts, H horizon, D dimensions.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio.numerics.units import LOG_2PI
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.simulate import Run

SD_FLOOR = 1e-6  # of the train SD: paths that agree to the last digit are no certainty


class Gaussians(NamedTuple):
    """Diagonal Gaussians: mean and SD, each [..., D]."""

    mean: Tensor
    sd: Tensor

    def log_prob(self, values: Tensor) -> Tensor:
        """Return log densities, nats, [...]."""
        z = (values - self.mean) / self.sd
        return -(0.5 * (z * z + LOG_2PI) + self.sd.log()).sum(-1)


class Forecast(NamedTuple):
    """What is expected at every horizon.

    Attributes:
        delta: Law of x_{t+h} - x_{t+h-1}, [N, H, D].
        position: Law of x_{t+h}, [N, H, D].
        horizons: The horizons h, [H].
    """

    delta: Gaussians
    position: Gaussians
    horizons: tuple[int, ...]

    def log_prob(self, starts: Starts) -> dict[str, Tensor]:
        """Return the log densities of what happened, nats, each [N, H]."""
        rows = torch.tensor(self.horizons) - 1
        return {
            "delta": self.delta.log_prob(starts.true_steps()[:, rows]),
            "position": self.position.log_prob(starts.future[:, rows]),
        }

    def samples(self, num_samples: int, generator: torch.Generator) -> Tensor:
        """Draw positions, each horizon on its own, [S, N, H, D]."""
        shape = (num_samples, *self.position.mean.shape)
        noise = torch.randn(shape, generator=generator, device=self.position.mean.device)
        return self.position.mean + self.position.sd * noise


class Marginals(NamedTuple):
    """The laws without context: train mean and SD of delta and position, each [D]."""

    delta: Gaussians
    position: Gaussians

    def log_prob(self, starts: Starts) -> dict[str, Tensor]:
        """Return log densities of what happened, nats, each [N, H]."""
        return {
            "delta": self.delta.log_prob(starts.true_steps()),
            "position": self.position.log_prob(starts.future),
        }


def moment_matched(run: Run, horizon_frames: int, marginals: Marginals) -> Forecast:
    """Return the Gaussians with the mean and variance of M sampled paths (rollout.md B1).

    The mixture of M sampled densities is the exact forecast of an exact model, but its log is low
    by several nats at M = 256 and D = 16; matched moments of draws lose about 1 / M nats per
    dimension, those of the laws that they were drawn with a share of it. The train SDs of the
    marginals bound the spread from below.
    """
    laws = []
    means, variances = (run.states, None) if run.laws is None else run.laws
    origins = (run.before, marginals.delta), (torch.zeros_like(run.before), marginals.position)
    for origin, train in origins:
        part = (means - origin)[:, :, :horizon_frames]
        variance = part.var(0)
        if variances is not None:
            variance = variance + variances[:, :, :horizon_frames].mean(0)
        laws.append(Gaussians(part.mean(0), torch.maximum(variance.sqrt(), SD_FLOOR * train.sd)))
    return Forecast(laws[0], laws[1], tuple(range(1, laws[0].mean.shape[1] + 1)))


def marginals_of(
    frame_mean: np.ndarray, frame_sd: np.ndarray, delta_sd: np.ndarray, device: torch.device
) -> Marginals:
    """Return the marginals of train statistics; delta has mean 0."""
    mean, sd, step = (
        torch.as_tensor(values, dtype=torch.float32, device=device)
        for values in (frame_mean, frame_sd, delta_sd)
    )
    return Marginals(Gaussians(torch.zeros_like(mean), step), Gaussians(mean, sd))
