"""Direction times log-magnitude: a mixture of von Mises-Fisher x log-normal.

With z = m u, |u| = 1: p(z) = vMF(u) LogNormal(m) m^{-(D-1)}; the last factor is the Jacobian of
polar coordinates.

Shapes: B targets, P parameters, D dimensions, S samples, K components.
"""

import math

import torch
from torch import Tensor, nn

from engram_audio.densities.config import DirectionMagnitudeHead
from engram_audio.densities.heads import (
    DensityHead,
    Drawn,
    choose_components,
    pick,
    standard_gamma,
)
from engram_audio.numerics.bessel import log_vmf_normalizer, mean_resultant_length
from engram_audio.numerics.units import LN2, LOG_2PI

TINY = 1e-12
MINIMUM_CONCENTRATION = 1e-3
REJECTION_ROUNDS = 64


class DirectionMagnitude(DensityHead):
    """Mixture of von Mises-Fisher directions times log-normal magnitudes."""

    def __init__(
        self, num_dims: int, num_components: int, log_sigma_range: tuple[float, float]
    ) -> None:
        super().__init__()
        self.num_dims = num_dims
        self.num_components = num_components
        self.log_sigma_range = log_sigma_range
        self.num_parameters = num_components * (num_dims + 4)

    def initial_parameters(self, generator: torch.Generator) -> Tensor:
        """Return the radius of a standard normal and nearly uniform directions."""
        count, dims = self.num_components, self.num_dims
        directions = torch.randn(count * dims, generator=generator)
        log_radius = 0.5 * (LN2 + torch.digamma(torch.tensor(0.5 * dims)).item())
        log_spread = 0.5 * math.log(0.25 * float(torch.polygamma(1, torch.tensor(0.5 * dims))))
        return torch.cat(
            [
                torch.zeros(count),
                directions,
                torch.full((count,), 0.5),
                torch.full((count,), log_radius),
                torch.full((count,), log_spread),
            ]
        )

    def _split(self, parameters: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        count, dims = self.num_components, self.num_dims
        logits, axes, kappa, log_mean, log_sd = parameters.split(
            [count, count * dims, count, count, count], dim=-1
        )
        axes = axes.reshape(*parameters.shape[:-1], count, dims)
        axes = axes / axes.norm(dim=-1, keepdim=True).clamp_min(TINY)
        # kappa grows with D: the same cosine needs a concentration in proportion to D.
        concentration = self.num_dims * nn.functional.softplus(kappa) + MINIMUM_CONCENTRATION
        log_sd = log_sd.clamp(*self.log_sigma_range)
        return torch.log_softmax(logits, -1), axes, concentration, log_mean, log_sd

    def log_prob(self, parameters: Tensor, z: Tensor) -> Tensor:
        """See `DensityHead.log_prob`."""
        log_weights, axes, kappa, log_mean, log_sd = self._split(parameters)
        magnitude = z.norm(dim=-1).clamp_min(TINY)
        log_magnitude = magnitude.log().unsqueeze(-1)
        cosine = (axes * (z / magnitude.unsqueeze(-1)).unsqueeze(-2)).sum(-1)
        direction = log_vmf_normalizer(kappa, self.num_dims) + kappa * cosine
        scaled = (log_magnitude - log_mean) * torch.exp(-log_sd)
        radius = -0.5 * scaled.square() - log_sd - 0.5 * LOG_2PI - self.num_dims * log_magnitude
        return torch.logsumexp(log_weights + direction + radius, -1)

    def mean(self, parameters: Tensor) -> Tensor:
        """See `DensityHead.mean`: sum of weight A_D(kappa) E[m] axis."""
        log_weights, axes, kappa, log_mean, log_sd = self._split(parameters)
        lengths = mean_resultant_length(self.num_dims, kappa.detach().double().cpu().numpy())
        length = torch.as_tensor(lengths).to(kappa)
        magnitude = torch.exp(log_mean + 0.5 * torch.exp(2 * log_sd))
        return ((log_weights.exp() * length * magnitude).unsqueeze(-1) * axes).sum(-2)

    def sample(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `DensityHead.sample`."""
        return self.draw(parameters, num_samples, generator).values

    def draw(self, parameters: Tensor, num_samples: int, generator: torch.Generator) -> Drawn:
        """See `DensityHead.draw`: components are chosen, and cosines, because rejection jumps."""
        log_weights, axes, kappa, log_mean, log_sd = self._split(parameters)
        chosen = choose_components(log_weights, num_samples, generator)
        axis, concentration = pick(axes, chosen), pick(kappa, chosen)
        drawn = _sample_cosine(concentration.detach(), self.num_dims, generator)
        cosine = drawn.unsqueeze(-1)
        noise = torch.randn(axis.shape, generator=generator, device=axis.device)
        tangent = noise - (noise * axis).sum(-1, keepdim=True) * axis
        tangent = tangent / tangent.norm(dim=-1, keepdim=True).clamp_min(TINY)
        direction = cosine * axis + torch.sqrt((1 - cosine.square()).clamp_min(0)) * tangent
        spread = pick(log_sd, chosen).exp()
        normal = torch.randn(spread.shape, generator=generator, device=spread.device)
        magnitude = torch.exp(pick(log_mean, chosen) + spread * normal).unsqueeze(-1)
        log_cosine = log_vmf_normalizer(concentration, self.num_dims) + concentration * drawn
        return Drawn(magnitude * direction, pick(log_weights, chosen) + log_cosine)


def _sample_cosine(concentration: Tensor, num_dims: int, generator: torch.Generator) -> Tensor:
    """Draw u . mu under vMF by Wood's rejection (1994); shape as `concentration`.

    Each round accepts at least about two thirds; what is left after all rounds (never seen; less
    than 1e-30) keeps its last proposal.
    """
    kappa = concentration.double()
    m = float(num_dims - 1)
    b = m / (2 * kappa + torch.sqrt(4 * kappa.square() + m * m))
    x0 = (1 - b) / (1 + b)
    c = kappa * x0 + m * torch.log1p(-x0.square())
    result = torch.zeros_like(kappa)
    pending = torch.ones_like(kappa, dtype=torch.bool)
    half = torch.full((*kappa.shape, 2), 0.5 * m, dtype=torch.float64, device=kappa.device)
    for _ in range(REJECTION_ROUNDS):
        gammas = standard_gamma(half, generator)
        beta = gammas[..., 0] / gammas.sum(-1)
        proposal = (1 - (1 + b) * beta) / (1 - (1 - b) * beta)
        uniform = torch.rand(kappa.shape, generator=generator, device=kappa.device).double()
        bound = kappa * proposal + m * torch.log1p(-x0 * proposal) - c
        result = torch.where(pending, proposal, result)
        pending = pending & (bound < torch.log(uniform.clamp_min(1e-300)))
        if not pending.any():
            break
    return result.to(concentration)


def build(
    settings: DirectionMagnitudeHead,
    num_dims: int,
    num_components: int,
    _log_floor: Tensor | None,
    _has_context: bool,
) -> DirectionMagnitude:
    """See `factory.build_head`."""
    return DirectionMagnitude(num_dims, num_components, settings.log_sigma_range)
