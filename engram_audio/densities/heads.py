"""The interface of density heads. Every family has a module of its own, with a `build`.

A head is a family of densities of a whitened target z; a trunk (or a free vector, for a marginal)
gives its parameters. All values are log densities in nats and all shapes may carry extra leading
axes that broadcast, so that one set of parameters can score many candidate targets.

Shapes: B targets, P parameters, D dimensions, S samples, K components, Q rank.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.densities.base import LinearBase
from engram_audio.numerics.precision import full_precision
from engram_audio.numerics.units import LOG_2PI

Targets = Callable[[], tuple[np.ndarray, np.ndarray]]


class Drawn(NamedTuple):
    """Samples, and what a gradient through them needs.

    A sample follows its component's mean and scale, but it jumps where another component is chosen.
    The gradient of E[f(values)] is that of f(values), plus f(values) times that of `log_choice`.

    Attributes:
        values: Shape [S, B, D].
        log_choice: Log probability of what was chosen and cannot move with parameters, [S, B].
    """

    values: Tensor
    log_choice: Tensor


class DensityHead(nn.Module, ABC):
    """A family of densities of z in R^D, told apart by `num_parameters` numbers.

    Every family is computed in float32, in whatever precision its trunk was computed.

    Attributes:
        has_moments: Whether `moments` knows mean and variance in closed form.
        is_mean_sampled: Whether `mean` is an average of samples, which is dear.
        spreads_one_row: Whether `log_prob` takes one row of parameters for all values.
    """

    num_dims: int
    num_parameters: int
    has_moments = False
    is_mean_sampled = False
    spreads_one_row = False

    @property
    def is_gaussian(self) -> bool:
        """Whether it is one Gaussian with a diagonal covariance."""
        return False

    def log_prob_by_dimension(self, parameters: Tensor, z: Tensor) -> Tensor | None:
        """Return log densities that sum to `log_prob`, [..., D]; None where none are known."""
        del parameters, z
        return None

    def __init_subclass__(cls, **rest: Any) -> None:
        super().__init_subclass__(**rest)
        for name in ("log_prob", "sample", "draw", "mean", "moments"):
            if name in cls.__dict__:
                setattr(cls, name, full_precision(cls.__dict__[name]))

    @abstractmethod
    def initial_parameters(self, generator: torch.Generator) -> Tensor:
        """Return parameters near the standard normal, shape [P]."""

    @abstractmethod
    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """Return log densities in nats, shape [...]; parameters [..., P], z [..., D]."""

    @abstractmethod
    def sample(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """Draw independent samples, shape [S, B, D], of parameters [B, P]."""

    def draw(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Drawn:
        """Draw what `sample` draws, for a gradient; here samples move smoothly and choose nothing.

        A family that chooses components overrides it.
        """
        values = self.sample(parameters, num_samples, generator)
        return Drawn(values, values.new_zeros(values.shape[:-1]))

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """Return expectations, shape [B, D], of parameters [B, P]."""

    def moments(self, base: LinearBase, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the residual in the target's units, each [B, D].

        Raises:
            NotImplementedError: The family has no closed form.
        """
        raise NotImplementedError

    def fit_by_em(
        self, targets: Targets, log_floor: Tensor | None, seed: int, minimum_gain: float
    ) -> Tensor | None:
        """Return parameters without context, [P], fitted by EM; None for a family without EM.

        Args:
            targets: Gives whitened targets of train and of the choice part, each [M, D], float64.
            log_floor: Log of the smallest scale per dimension, [D].
            seed: Decides the start.
            minimum_gain: Nats on the choice part that ten steps must bring.
        """
        del targets, log_floor, seed, minimum_gain
        return None


class StandardNormal(DensityHead):
    """N(0, I): what is left of a linear-Gaussian null once its base has whitened the target."""

    num_parameters = 0
    has_moments = True

    def __init__(self, num_dims: int) -> None:
        super().__init__()
        self.num_dims = num_dims

    def initial_parameters(self, generator: torch.Generator) -> Tensor:
        """Return the empty vector."""
        return torch.zeros(0)

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """See `DensityHead.log_prob`."""
        return -0.5 * (z * z).sum(-1) - 0.5 * self.num_dims * LOG_2PI

    def sample(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `DensityHead.sample`."""
        shape = (num_samples, parameters.shape[0], self.num_dims)
        return torch.randn(shape, generator=generator, device=parameters.device)

    def mean(self, parameters: Tensor) -> Tensor:
        """See `DensityHead.mean`."""
        return parameters.new_zeros((parameters.shape[0], self.num_dims))

    def moments(self, base: LinearBase, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """See `DensityHead.moments`."""
        variance = base.scale.square().sum(0).expand(len(parameters), -1)
        return variance.new_zeros(variance.shape), variance


def choose_components(log_weights: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
    """Draw component numbers by inverting the cumulative weights, shape [S, B]."""
    cumulative = log_weights.exp().cumsum(-1)
    uniform = torch.rand(
        (num_samples, *log_weights.shape[:-1], 1), generator=generator, device=log_weights.device
    )
    chosen = (uniform * cumulative[..., -1:] > cumulative).sum(-1)
    return chosen.clamp_max(log_weights.shape[-1] - 1)


def standard_gamma(shape: Tensor, generator: torch.Generator) -> Tensor:
    """Draw Gamma(shape, 1); torch's own sampler, which alone takes a generator."""
    return torch.ops.aten._standard_gamma(shape, generator)


def pick(values: Tensor, components: Tensor) -> Tensor:
    """Return each sample's component, shape [S, B, ...], of values [B, K, ...]."""
    rows = torch.arange(values.shape[0], device=values.device)
    return values[rows, components]
