"""A conditional density of delta_t or x_t: linear base + trunk + head.

Everything that is scored has this one shape. A linear-Gaussian null is a base under N(0, I), a
marginal is a head on free parameters, a head has a trunk. Log densities are in nats, in the units
of the latents.

Event and target. At lag 1 the context contains x_{t-1}, so delta_t and x_t are the same event and
their densities agree (unit Jacobian): a density of one scores the other. At larger lags they are
different events, and a density of one says nothing about the other.

Shapes: B targets, W window, D dimensions, N candidates, S samples, P parameters.
"""

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch, LinearBase
from engram_audio.densities.heads import DensityHead, Drawn
from engram_audio.densities.trunks import ParameterSource


class Budget(NamedTuple):
    """What a predictor holds and does.

    Attributes:
        parameters: Numbers fitted: weights, tables, codes, linear maps.
        flops: Multiplications and additions of one target's conditional law.
    """

    parameters: int
    flops: int


class Density(nn.Module, ABC):
    """p(value | context): what is scored and runs free.

    Attributes:
        target: What the value is: `delta` (delta_t) or `position` (x_t).
    """

    target: str

    @abstractmethod
    def log_prob(self, batch: Batch) -> Tensor:
        """Return log p(value | context) in nats, shape [B]."""

    @abstractmethod
    def mean(self, batch: Batch) -> Tensor:
        """Return E[value | context], shape [B, D]."""

    @abstractmethod
    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        """Draw values, shape [S, B, D]."""

    def draw(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Drawn:
        """Draw values for a gradient; here they choose nothing.

        See `heads.Drawn`.
        """
        values = self.sample(batch, num_samples, generator)
        return Drawn(values, values.new_zeros(values.shape[:-1]))

    def log_prob_and_mean(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return what `log_prob` and `mean` return; a trunk runs once."""
        return self.log_prob(batch), self.mean(batch)

    @property
    def is_mean_sampled(self) -> bool:
        """Whether `mean` is an average of samples, which is dear."""
        return False

    @property
    def has_log_prob(self) -> bool:
        """Whether `log_prob` is there; without it only draws are scored."""
        return True

    @property
    def has_moments(self) -> bool:
        """Whether `moments` knows mean and variance in closed form."""
        return False

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the value, each [B, D].

        Raises:
            NotImplementedError: There is no closed form.
        """
        raise NotImplementedError


class ConditionalDensity(Density):
    """A head on a linear base; its parameters come from a trunk or are free."""

    def __init__(self, base: LinearBase, trunk: ParameterSource | None, head: DensityHead) -> None:
        super().__init__()
        self.base = base
        self.trunk = trunk
        self.head = head
        self.target = base.target

    def parameters_of(self, batch: Batch) -> Tensor:
        """Return the head's parameters, shape [B, P]."""
        if self.trunk is None:
            return batch.current.new_zeros((len(batch.current), 0))
        return self.trunk(batch.context)

    def _scoring_parameters(self, batch: Batch) -> Tensor:
        """Return the parameters [B, P] of a score; [1, P] where all targets have the same.

        A gradient sums over targets, and one row would sum it in another order.
        """
        common = None if self.trunk is None else self.trunk.common_parameters()
        if common is None or torch.is_grad_enabled() or not self.head.spreads_one_row:
            return self.parameters_of(batch)
        return common

    def log_prob(self, batch: Batch) -> Tensor:
        """See `Density.log_prob`."""
        value = self.base.value(batch, self.target)
        z = self.base.whiten(value - self.base.predict(batch))
        return self.head.log_prob(self._scoring_parameters(batch), z) + self.base.log_det

    def log_prob_of(self, batch: Batch, values: Tensor) -> Tensor:
        """Return log densities of candidate values [B, N, D] of the own target, shape [B, N]."""
        z = self.base.whiten(values - self.base.predict(batch).unsqueeze(1))
        parameters = self._scoring_parameters(batch).unsqueeze(1)
        return self.head.log_prob(parameters, z) + self.base.log_det

    def mean(self, batch: Batch) -> Tensor:
        """See `Density.mean`."""
        residual = self.base.unwhiten(self.head.mean(self.parameters_of(batch)))
        return self.base.predict(batch) + residual

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `Density.sample`."""
        return self.draw(batch, num_samples, generator).values

    def draw(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Drawn:
        """See `Density.draw`."""
        drawn = self.head.draw(self.parameters_of(batch), num_samples, generator)
        values = self.base.predict(batch) + self.base.unwhiten(drawn.values)
        return drawn._replace(values=values)

    def log_prob_and_mean(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Density.log_prob_and_mean`."""
        base, head = self.base, self.head
        parameters, prediction = self.parameters_of(batch), base.predict(batch)
        z = base.whiten(base.value(batch, self.target) - prediction)
        score = head.log_prob(parameters, z) + base.log_det
        return score, prediction + base.unwhiten(head.mean(parameters))

    @property
    def is_mean_sampled(self) -> bool:
        """See `Density.is_mean_sampled`."""
        return self.head.is_mean_sampled

    @property
    def has_moments(self) -> bool:
        """See `Density.has_moments`."""
        return self.head.has_moments

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Density.moments`."""
        return self.moments_of(batch, self.parameters_of(batch))

    def moments_of(self, batch: Batch, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the value under other parameters [B, P], each [B, D]."""
        mean, variance = self.head.moments(self.base, parameters)
        return mean + self.base.predict(batch), variance

    def budget(self) -> Budget:
        """Return what the model and its linear base hold and do."""
        base = 0 if self.base.order == 0 else self.base.weight.numel()
        own = sum(parameter.numel() for parameter in self.parameters())
        work = 2 * own if self.trunk is None else self.trunk.flops()
        return Budget(base + own, 2 * base + work)


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
