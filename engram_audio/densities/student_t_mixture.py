"""Mixtures of Student-t with learned degrees of freedom.

Shapes: as in `heads`.
"""

import math

import torch
from torch import Tensor, nn

from engram_audio.densities.config import StudentTMixtureHead
from engram_audio.densities.gaussian_mixture import Mixture
from engram_audio.densities.heads import choose_components, pick, standard_gamma
from engram_audio.densities.marginal_em import FREEDOM_MARGIN, MINIMUM_FREEDOM


class StudentTMixture(Mixture):
    """Mixture of Student-t: one tail per frame (multivariate) or one per dimension (product).

    The degrees of freedom are 2 + softplus(.), one per component, so that means and variances
    exist; scales are those of the t, not its standard deviations.
    """

    is_heavy_tailed = True

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
        self.has_em = is_tail_shared  # a product of t has none
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
        return MINIMUM_FREEDOM + FREEDOM_MARGIN + nn.functional.softplus(raw)

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

    def variances(self, log_scales: Tensor, rest: Tensor) -> Tensor:
        """See `Mixture.variances`."""
        freedom = self.freedom(rest).unsqueeze(-1)
        return super().variances(log_scales, rest) * freedom / (freedom - 2)


def _log_t(squares: Tensor, freedom: Tensor, num_dims: int) -> Tensor:
    """Log density of the multivariate t at squared distances, without the scales' determinant."""
    half = 0.5 * (freedom + num_dims)
    return (
        torch.lgamma(half)
        - torch.lgamma(0.5 * freedom)
        - 0.5 * num_dims * torch.log(math.pi * freedom)
        - half * torch.log1p(squares / freedom)
    )


def build(
    settings: StudentTMixtureHead,
    num_dims: int,
    num_components: int,
    log_floor: Tensor | None,
    _has_context: bool,
) -> StudentTMixture:
    """See `factory.build_head`."""
    is_shared = settings.tail == "shared"
    return StudentTMixture(
        num_dims, num_components, settings.log_sigma_range, log_floor, is_tail_shared=is_shared
    )
