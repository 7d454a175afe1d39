"""Mixtures of diagonal Gaussians, and what all mixtures share.

Shapes: as in `heads`.
"""

from abc import abstractmethod

import numpy as np
import torch
from torch import Tensor

from engram_audio.densities.base import LinearBase
from engram_audio.densities.config import GaussianMixtureHead
from engram_audio.densities.heads import DensityHead, Drawn, Targets, choose_components, pick
from engram_audio.densities.marginal_em import (
    FREEDOM_MARGIN,
    MINIMUM_FREEDOM,
    MixtureParameters,
    fit_mixture,
)
from engram_audio.numerics.precision import full_precision
from engram_audio.numerics.units import LOG_2PI

START_SPREAD = 0.1  # SD of the components' first means; breaks their symmetry


class Mixture(DensityHead):
    """What mixtures with component means and diagonal scales share."""

    has_moments = True
    has_em = True
    is_heavy_tailed = False
    rank = 0  # Q, of the covariances beyond their diagonals

    def __init__(
        self,
        num_dims: int,
        num_components: int,
        log_sigma_range: tuple[float, float],
        log_floor: Tensor | None = None,
    ) -> None:
        super().__init__()
        self.num_dims = num_dims
        self.num_components = num_components
        low, high = log_sigma_range
        floor = torch.full((num_dims,), low) if log_floor is None else log_floor.clamp_min(low)
        self.register_buffer("log_floor", floor.float())
        self.log_ceiling = high
        self.has_one_floor = log_floor is None
        self.lowest_floor = low
        self.num_parameters = num_components * (1 + 2 * num_dims)

    log_floor: Tensor

    def initial_parameters(self, generator: torch.Generator) -> Tensor:
        """See `DensityHead.initial_parameters`."""
        count, dims = self.num_components, self.num_dims
        logits = torch.zeros(count)
        means = START_SPREAD * torch.randn((count, dims), generator=generator)
        means = means - means.mean(0)
        # The spread of the means is taken out of the scales: the mixture keeps unit variance.
        scales = 0.5 * torch.log1p(-means.square().mean(0)).expand(count, dims)
        return torch.cat([logits, means.flatten(), scales.flatten(), self._extra_start()])

    def _extra_start(self) -> Tensor:
        return torch.zeros(0)

    def split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return log weights [..., K], means and log scales [..., K, D], the rest [..., R]."""
        count, dims = self.num_components, self.num_dims
        sizes = [count, count * dims, count * dims]
        logits, means, scales, rest = parameters.split(
            [*sizes, parameters.shape[-1] - sum(sizes)], dim=-1
        )
        shape = (*parameters.shape[:-1], count, dims)
        return (
            torch.log_softmax(logits, -1),
            means.reshape(shape),
            self.clamped(scales.reshape(shape)),
            rest,
        )

    def clamped(self, log_scales: Tensor) -> Tensor:
        """Return log scales within their bounds, [..., D]."""
        if self.has_one_floor:  # one pass over the largest tensor of the step instead of two
            return log_scales.clamp(self.lowest_floor, self.log_ceiling)
        return torch.maximum(log_scales, self.log_floor).clamp_max(self.log_ceiling)

    def mean(self, parameters: Tensor) -> Tensor:
        """See `DensityHead.mean`."""
        log_weights, means, _, _ = self.split(parameters)
        return (log_weights.exp().unsqueeze(-1) * means).sum(-2)

    def sample(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `DensityHead.sample`."""
        return self.draw(parameters, num_samples, generator).values

    def draw(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Drawn:
        """See `DensityHead.draw`: components are chosen."""
        log_weights, means, log_scales, rest = self.split(parameters)
        chosen = choose_components(log_weights, num_samples, generator)
        centre, scale = pick(means, chosen), pick(log_scales, chosen).exp()
        noise = self._noise(scale, rest, chosen, generator)
        return Drawn(centre + noise, pick(log_weights, chosen))

    @abstractmethod
    def _noise(
        self, scale: Tensor, rest: Tensor, chosen: Tensor, generator: torch.Generator
    ) -> Tensor:
        """Draw deviations from the means of chosen components, [S, B, D], of their scales."""

    def variances(self, log_scales: Tensor, rest: Tensor) -> Tensor:
        """Return variances of the components per dimension, [..., K, D], factors aside."""
        del rest
        return (2 * log_scales).exp()

    def moments(self, base: LinearBase, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """See `DensityHead.moments`."""
        log_weights, means, log_scales, rest = self.split(parameters)
        weights = log_weights.exp().unsqueeze(-1)
        spread = base.spread((weights * self.variances(log_scales, rest)).sum(-2))
        if self.rank:
            factors = base.unwhiten(self.factors(rest).mT)  # [R, K, Q, D]
            spread = spread + (weights * factors.square().sum(-2)).sum(-2)
        centres = base.unwhiten(means)
        mean = (weights * centres).sum(-2)
        between = (weights * (centres - mean.unsqueeze(-2)).square()).sum(-2)
        return mean, spread + between

    def factors(self, rest: Tensor) -> Tensor:
        """Return what the covariances have beyond their diagonals, U of U U^T, [B, K, D, Q]."""
        return rest.reshape(*rest.shape[:-1], self.num_components, self.num_dims, self.rank)

    def fit_by_em(
        self, targets: Targets, log_floor: Tensor | None, seed: int, minimum_gain: float
    ) -> Tensor | None:
        """See `DensityHead.fit_by_em`."""
        if not self.has_em:
            return None
        low = self.lowest_floor
        floor = np.full(self.num_dims, low) if log_floor is None else log_floor.numpy()
        generator = np.random.default_rng([seed, self.num_components])
        mixture, _ = fit_mixture(
            *targets(), self.num_components, np.exp(np.maximum(floor, low)), self.is_heavy_tailed,
            generator, minimum_gain,
        )  # fmt: skip
        return head_parameters(mixture)


def head_parameters(mixture: MixtureParameters) -> Tensor:
    """Return a mixture as the parameters of its head, [P]."""
    parts = [np.log(mixture.weights), mixture.means.ravel(), np.log(mixture.scales).ravel()]
    if mixture.is_student:
        parts.append(np.log(mixture.freedom - MINIMUM_FREEDOM - FREEDOM_MARGIN))
    return torch.as_tensor(np.concatenate(parts), dtype=torch.float32)


class GaussianMixture(Mixture):
    """Mixture of diagonal Gaussians."""

    spreads_one_row = True

    @property
    def is_gaussian(self) -> bool:
        """See `DensityHead.is_gaussian`."""
        return self.num_components == 1

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """See `DensityHead.log_prob`."""
        log_weights, means, log_scales, _ = self.split(parameters)
        return self.log_prob_about(log_weights, z.unsqueeze(-2) - means, log_scales)

    def log_prob_about(self, log_weights: Tensor, residuals: Tensor, log_scales: Tensor) -> Tensor:
        """Return log densities in nats, [...].

        Args:
            log_weights: Shape [..., K].
            residuals: What is left of a value beside each component's mean, [..., K, D].
            log_scales: Shape [..., K, D].
        """
        scaled = residuals * torch.exp(-log_scales)
        log_densities = -0.5 * (scaled * scaled).sum(-1) - log_scales.sum(-1)
        return torch.logsumexp(log_weights + log_densities, -1) - 0.5 * self.num_dims * LOG_2PI

    @full_precision
    def log_prob_by_dimension(self, parameters: Tensor, z: Tensor) -> Tensor:
        """Return log p(z_d given the dimensions before it), shape [..., D]; they sum to log p(z).

        What a dimension tells about the component is used by those after it.
        """
        log_weights, means, log_scales, _ = self.split(parameters)
        scaled = (z.unsqueeze(-2) - means) * torch.exp(-log_scales)
        each = -0.5 * (scaled * scaled + LOG_2PI) - log_scales
        joint = torch.logsumexp(log_weights.unsqueeze(-1) + each.cumsum(-1), -2)
        return torch.diff(joint, dim=-1, prepend=torch.zeros_like(joint[..., :1]))

    def _noise(
        self, scale: Tensor, rest: Tensor, chosen: Tensor, generator: torch.Generator
    ) -> Tensor:
        """See `Mixture._noise`."""
        del rest, chosen
        return scale * torch.randn(scale.shape, generator=generator, device=scale.device)


def build(
    settings: GaussianMixtureHead,
    num_dims: int,
    num_components: int,
    log_floor: Tensor | None,
    _has_context: bool,
) -> GaussianMixture:
    """See `factory.build_head`."""
    return GaussianMixture(num_dims, num_components, settings.log_sigma_range, log_floor)
