"""The Gaussian bottleneck of a trained codec: q(z | x) = N(mean, sd^2) against N(0, 1).

Shapes: B crops, T frames, D dimensions.
"""

from typing import NamedTuple

import torch
from torch import Tensor

LOG_SD_RANGE = (-7.0, 3.0)  # an untrained network must not overflow the KL


class Posterior(NamedTuple):
    """Diagonal Gaussians.

    Attributes:
        mean: What is exported as the latent, shape [B, T, D].
        log_sd: Shape [B, T, D].
    """

    mean: Tensor
    log_sd: Tensor

    def sample(self) -> Tensor:
        """Draw with torch's global generator, shape [B, T, D]."""
        return self.mean + self.log_sd.exp() * torch.randn_like(self.mean)

    def kl_nats(self) -> Tensor:
        """Return KL[q || N(0, 1)] per dimension, shape [B, T, D], nats."""
        variance = (2 * self.log_sd).exp()
        return 0.5 * (self.mean.square() + variance - 1) - self.log_sd


def posterior_of(parameters: Tensor) -> Posterior:
    """Split network outputs [B, T, 2 D] into a posterior."""
    mean, log_sd = parameters.float().chunk(2, dim=-1)
    return Posterior(mean, log_sd.clamp(*LOG_SD_RANGE))


def beta_at(step: int, beta: float, warmup_steps: int) -> float:
    """Return the weight of the KL at a step (0-based): it grows linearly to beta."""
    return beta if step >= warmup_steps else beta * (step + 1) / (warmup_steps + 1)
