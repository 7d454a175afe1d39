"""Mixtures of Student-t with learned degrees of freedom.

Shapes: as in `heads`.
"""

import math

import torch
from torch import Tensor

from engram_audio.densities.config import StudentTMixtureHead
from engram_audio.densities.gaussian_mixture import Mixture
from engram_audio.densities.heads import pick, standard_gamma
from engram_audio.densities.marginal_em import (
    FREEDOM_MARGIN,
    MINIMUM_FREEDOM,
    nearly_normal_freedom,
)

LOG_FREEDOM_LIMIT = math.log(1e7)  # beyond it nobody tells a t from a normal


class StudentTMixture(Mixture):
    """Mixture of Student-t: one tail per frame (multivariate) or one per dimension (product).

    The degrees of freedom are 2 + exp(.), one per component, so that means and variances exist.
    Scales are those of the t, not its standard deviations.
    """

    is_heavy_tailed = True
    spreads_one_row = True

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

    def initial_parameters(self, generator: torch.Generator) -> Tensor:
        """See `DensityHead.initial_parameters`; the tails are those of a normal at any D."""
        start = super().initial_parameters(generator)
        freedom, own = self._starting_freedom(), self.num_dims if self.is_tail_shared else 1
        first = self.num_components * (1 + self.num_dims)
        scales = slice(first, first + self.num_components * self.num_dims)
        # the scale at which a t is nearest to N(0, I)
        start[scales] += 0.5 * math.log((freedom + own) / (freedom + own + 2))
        return start

    def _starting_freedom(self) -> float:
        if self.is_tail_shared:
            return nearly_normal_freedom(self.num_dims, 1)
        return nearly_normal_freedom(1, self.num_dims)

    def _extra_start(self) -> Tensor:
        raw = math.log(self._starting_freedom() - MINIMUM_FREEDOM - FREEDOM_MARGIN)
        return torch.full((self.num_components,), raw)

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
        return MINIMUM_FREEDOM + FREEDOM_MARGIN + raw.clamp_max(LOG_FREEDOM_LIMIT).exp()

    def _noise(
        self, scale: Tensor, rest: Tensor, chosen: Tensor, generator: torch.Generator
    ) -> Tensor:
        """See `Mixture._noise`."""
        freedom = pick(self.freedom(rest), chosen).unsqueeze(-1)
        if not self.is_tail_shared:
            freedom = freedom.expand(scale.shape)
        noise = torch.randn(scale.shape, generator=generator, device=scale.device)
        chi_square = 2 * standard_gamma(freedom / 2, generator)
        return scale * noise * torch.sqrt(freedom / chi_square)

    def variances(self, log_scales: Tensor, rest: Tensor) -> Tensor:
        """See `Mixture.variances`."""
        freedom = self.freedom(rest).unsqueeze(-1)
        return super().variances(log_scales, rest) * freedom / (freedom - 2)


def _log_t(squares: Tensor, freedom: Tensor, num_dims: int) -> Tensor:
    """Log density of the multivariate t at squared distances, without the scales' determinant."""
    # in float64: the log gammas of thousands of degrees of freedom nearly cancel
    wide = freedom.double()
    constant = (
        torch.lgamma(0.5 * (wide + num_dims))
        - torch.lgamma(0.5 * wide)
        - 0.5 * num_dims * torch.log(math.pi * wide)
    )
    return constant.to(squares) - 0.5 * (freedom + num_dims) * torch.log1p(squares / freedom)


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
