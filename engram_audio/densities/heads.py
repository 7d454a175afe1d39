"""The interface of density heads, and the mixtures.

A head is a family of densities of a whitened target z; a trunk (or a free vector, for a marginal)
gives its parameters. All values are log densities in nats and all shapes may carry extra leading
axes that broadcast, so that one set of parameters can score many candidate targets.

Shapes: B targets, P parameters, D dimensions, S samples, K components, Q rank.
"""

import math
from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from engram_audio.densities.config import (
    GaussianMixtureHead,
    LowRankMixtureHead,
    StudentTMixtureHead,
)
from engram_audio.numerics.units import LOG_2PI

MINIMUM_FREEDOM = 2.0  # a Student-t has a variance only above 2
START_SPREAD = 0.1  # SD of the components' first means; breaks their symmetry


class DensityHead(nn.Module, ABC):
    """A family of densities of z in R^D, told apart by `num_parameters` numbers."""

    num_dims: int
    num_parameters: int

    @abstractmethod
    def initial_parameters(self, generator: torch.Generator) -> Tensor:
        """Return parameters near the standard normal, shape [P]."""

    @abstractmethod
    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """Return log densities in nats, shape [...]; parameters [..., P], z [..., D]."""

    @abstractmethod
    def sample(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """Draw independent samples, shape [S, B, D], of parameters [B, P]."""

    @abstractmethod
    def mean(self, parameters: Tensor) -> Tensor:
        """Return expectations, shape [B, D], of parameters [B, P]."""


class StandardNormal(DensityHead):
    """N(0, I): what is left of a linear-Gaussian null once its base has whitened the target."""

    num_parameters = 0

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


class _Mixture(DensityHead):
    """What mixtures with component means and diagonal scales share."""

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
            self._clamped(scales.reshape(shape)),
            rest,
        )

    def _clamped(self, log_scales: Tensor) -> Tensor:
        if self.has_one_floor:  # one pass over the largest tensor of the step instead of two
            return log_scales.clamp(self.lowest_floor, self.log_ceiling)
        return torch.maximum(log_scales, self.log_floor).clamp_max(self.log_ceiling)

    def mean(self, parameters: Tensor) -> Tensor:
        """See `DensityHead.mean`."""
        log_weights, means, _, _ = self.split(parameters)
        return (log_weights.exp().unsqueeze(-1) * means).sum(-2)


class GaussianMixture(_Mixture):
    """Mixture of diagonal Gaussians."""

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """See `DensityHead.log_prob`."""
        log_weights, means, log_scales, _ = self.split(parameters)
        scaled = (z.unsqueeze(-2) - means) * torch.exp(-log_scales)
        log_densities = -0.5 * (scaled * scaled).sum(-1) - log_scales.sum(-1)
        return torch.logsumexp(log_weights + log_densities, -1) - 0.5 * self.num_dims * LOG_2PI

    def sample(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `DensityHead.sample`."""
        log_weights, means, log_scales, _ = self.split(parameters)
        chosen = choose_components(log_weights, num_samples, generator)
        centre, scale = pick(means, chosen), pick(log_scales, chosen).exp()
        noise = torch.randn(centre.shape, generator=generator, device=centre.device)
        return centre + scale * noise


class StudentTMixture(_Mixture):
    """Mixture of Student-t: one tail per frame (multivariate) or one per dimension (product).

    The degrees of freedom are 2 + softplus(.), one per component, so that means and variances
    exist; scales are those of the t, not its standard deviations.
    """

    def __init__(
        self,
        num_dims: int,
        num_components: int,
        log_sigma_range: tuple[float, float],
        log_floor: Tensor | None = None,
        is_tail_shared: bool = True,
    ) -> None:
        super().__init__(num_dims, num_components, log_sigma_range, log_floor)
        self.is_tail_shared = is_tail_shared
        self.num_parameters += num_components

    def _extra_start(self) -> Tensor:
        return torch.full((self.num_components,), 20.0)  # nearly Gaussian: 22 degrees of freedom

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """See `DensityHead.log_prob`."""
        log_weights, means, log_scales, raw = self.split(parameters)
        freedom = self.freedom(raw)
        squares = ((z.unsqueeze(-2) - means) * torch.exp(-log_scales)).square()
        if self.is_tail_shared:
            log_densities = _log_t(squares.sum(-1), freedom, self.num_dims)
        else:
            log_densities = _log_t(squares, freedom.unsqueeze(-1), 1).sum(-1)
        return torch.logsumexp(log_weights + log_densities - log_scales.sum(-1), -1)

    @staticmethod
    def freedom(raw: Tensor) -> Tensor:
        """Return degrees of freedom above 2 of unconstrained numbers."""
        return MINIMUM_FREEDOM + 1e-3 + nn.functional.softplus(raw)

    def sample(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `DensityHead.sample`."""
        log_weights, means, log_scales, raw = self.split(parameters)
        chosen = choose_components(log_weights, num_samples, generator)
        centre, scale = pick(means, chosen), pick(log_scales, chosen).exp()
        freedom = pick(self.freedom(raw), chosen).unsqueeze(-1)
        if not self.is_tail_shared:
            freedom = freedom.expand(centre.shape)
        noise = torch.randn(centre.shape, generator=generator, device=centre.device)
        chi_square = 2 * standard_gamma(freedom / 2, generator)
        return centre + scale * noise * torch.sqrt(freedom / chi_square)


def _log_t(squares: Tensor, freedom: Tensor, num_dims: int) -> Tensor:
    """Log density of the multivariate t at squared distances, without the scales' determinant."""
    half = 0.5 * (freedom + num_dims)
    return (
        torch.lgamma(half)
        - torch.lgamma(0.5 * freedom)
        - 0.5 * num_dims * torch.log(math.pi * freedom)
        - half * torch.log1p(squares / freedom)
    )


class LowRankMixture(_Mixture):
    """Mixture of Gaussians with covariance diag(scale^2) + U U^T, U of shape [D, Q]."""

    def __init__(
        self,
        num_dims: int,
        num_components: int,
        log_sigma_range: tuple[float, float],
        log_floor: Tensor | None = None,
        rank: int = 1,
    ) -> None:
        super().__init__(num_dims, num_components, log_sigma_range, log_floor)
        self.rank = rank
        self.num_parameters += num_components * num_dims * rank

    def initial_parameters(self, generator: torch.Generator) -> Tensor:
        """See `DensityHead.initial_parameters`."""
        start = super().initial_parameters(generator)
        factors = 0.05 * torch.randn(
            self.num_components * self.num_dims * self.rank, generator=generator
        )
        return torch.cat([start, factors])

    def factors(self, rest: Tensor) -> Tensor:
        """Return U of every component, shape [B, K, D, Q]."""
        shape = (*rest.shape[:-1], self.num_components, self.num_dims, self.rank)
        return rest.reshape(shape)

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """See `DensityHead.log_prob` (Woodbury: only Q x Q matrices are factorised)."""
        log_weights, means, log_scales, rest = self.split(parameters)
        inverse = torch.exp(-log_scales)
        scaled = (z.unsqueeze(-2) - means) * inverse
        factors = self.factors(rest) * inverse.unsqueeze(-1)
        identity = torch.eye(self.rank, device=z.device, dtype=factors.dtype)
        cholesky = torch.linalg.cholesky(identity + factors.mT @ factors)
        projected = (factors.mT @ scaled.unsqueeze(-1)).squeeze(-1)
        solved = torch.linalg.solve_triangular(cholesky, projected.unsqueeze(-1), upper=False)
        distance = (scaled * scaled).sum(-1) - solved.square().sum((-1, -2))
        log_det = 2 * cholesky.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        log_densities = -0.5 * (distance + log_det) - log_scales.sum(-1)
        return torch.logsumexp(log_weights + log_densities, -1) - 0.5 * self.num_dims * LOG_2PI

    def sample(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `DensityHead.sample`."""
        log_weights, means, log_scales, rest = self.split(parameters)
        chosen = choose_components(log_weights, num_samples, generator)
        centre, scale = pick(means, chosen), pick(log_scales, chosen).exp()
        factors = pick(self.factors(rest), chosen)
        noise = torch.randn(centre.shape, generator=generator, device=centre.device)
        shared = torch.randn(
            (*centre.shape[:-1], self.rank, 1), generator=generator, device=centre.device
        )
        return centre + scale * noise + (factors @ shared).squeeze(-1)


MixtureSettings = GaussianMixtureHead | StudentTMixtureHead | LowRankMixtureHead


def build_mixture(
    settings: MixtureSettings, num_dims: int, num_components: int, log_floor: Tensor | None
) -> DensityHead:
    """Build a mixture head of a section, with its own number of components."""
    shared = (num_dims, num_components, settings.log_sigma_range, log_floor)
    if isinstance(settings, StudentTMixtureHead):
        return StudentTMixture(*shared, is_tail_shared=settings.tail == "shared")
    if isinstance(settings, LowRankMixtureHead):
        return LowRankMixture(*shared, rank=settings.rank)
    return GaussianMixture(*shared)
