"""A conditional density of delta_t or x_t: linear base + trunk + head.

Everything that is scored has this one shape. A linear-Gaussian null is a base under N(0, I), a
marginal is a head on free parameters, a head has a trunk. Log densities are in nats, in the units
of the latents.

Event and target. At lag 1 the context contains x_{t-1}, so delta_t and x_t are the same event and
their densities agree (unit Jacobian): a density of one scores the other. At larger lags they are
different events, and a density of one says nothing about the other.

Shapes: B targets, W window, D dimensions, N candidates, S samples, P parameters.
"""

import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch, LinearBase
from engram_audio.densities.heads import DensityHead


class ConditionalDensity(nn.Module):
    """p(value | context), value = delta_t or x_t by `target`."""

    def __init__(self, base: LinearBase, trunk: nn.Module | None, head: DensityHead) -> None:
        super().__init__()
        self.base = base
        self.trunk = trunk
        self.head = head

    @property
    def target(self) -> str:
        """What it is a density of: `delta` or `position`."""
        return self.base.target

    def parameters_of(self, batch: Batch) -> Tensor:
        """Return the head's parameters, shape [B, P]."""
        if self.trunk is None:
            return batch.current.new_zeros((len(batch.current), 0))
        return self.trunk(batch.context)

    def log_prob(self, batch: Batch) -> Tensor:
        """Return log p(value | context) in nats, shape [B]."""
        value = self.base.value(batch, self.target)
        z = self.base.whiten(value - self.base.predict(batch))
        return self.head.log_prob(self.parameters_of(batch), z) + self.base.log_det

    def log_prob_of(self, batch: Batch, values: Tensor) -> Tensor:
        """Return log densities of candidate values [B, N, D] of the own target, shape [B, N]."""
        z = self.base.whiten(values - self.base.predict(batch).unsqueeze(1))
        parameters = self.parameters_of(batch).unsqueeze(1)
        return self.head.log_prob(parameters, z) + self.base.log_det

    def mean(self, batch: Batch) -> Tensor:
        """Return E[value | context], shape [B, D]."""
        residual = self.base.unwhiten(self.head.mean(self.parameters_of(batch)))
        return self.base.predict(batch) + residual

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        """Draw values, shape [S, B, D]."""
        z = self.head.sample(self.parameters_of(batch), num_samples, generator)
        return self.base.predict(batch) + self.base.unwhiten(z)


def event_offset(batch: Batch, target: str, event: str, lag_frames: int) -> Tensor:
    """Return what to add to a value of `target` to express it as the event's, shape [B, D].

    Raises:
        ValueError: Target and event differ at a lag above 1: they are different events.
    """
    if target == event:
        return torch.zeros_like(batch.current)
    if lag_frames != 1:
        raise ValueError("delta_t and x_t are the same event at lag 1 only")
    return -batch.previous if event == "delta" else batch.previous
