"""Mixtures of Gaussians with low-rank plus diagonal covariance.

Shapes: as in `heads`.
"""

import torch
from torch import Tensor

from engram_audio.densities.config import LowRankMixtureHead
from engram_audio.densities.gaussian_mixture import Mixture
from engram_audio.densities.heads import pick
from engram_audio.numerics.units import LOG_2PI


class LowRankMixture(Mixture):
    """Mixture of Gaussians with covariance diag(scale^2) + U U^T, U of shape [D, Q]."""

    has_em = False

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

    def _noise(
        self, scale: Tensor, rest: Tensor, chosen: Tensor, generator: torch.Generator
    ) -> Tensor:
        """See `Mixture._noise`."""
        factors = pick(self.factors(rest), chosen)
        noise = torch.randn(scale.shape, generator=generator, device=scale.device)
        shape = (*scale.shape[:-1], self.rank, 1)
        shared = torch.randn(shape, generator=generator, device=scale.device)
        return scale * noise + (factors @ shared).squeeze(-1)


def build(
    settings: LowRankMixtureHead,
    num_dims: int,
    num_components: int,
    log_floor: Tensor | None,
    _has_context: bool,
) -> LowRankMixture:
    """See `factory.build_head`."""
    return LowRankMixture(
        num_dims, num_components, settings.log_sigma_range, log_floor, rank=settings.rank
    )
