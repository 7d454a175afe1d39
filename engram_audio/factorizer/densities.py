"""Posteriors, priors and their divergence.

Shapes: leading axes [...], d dimensions, P head parameters, S samples.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engram_audio.densities.flow import ConditionalFlow
from engram_audio.densities.gaussian_mixture import GaussianMixture, Mixture
from engram_audio.densities.heads import DensityHead
from engram_audio.densities.student_t_mixture import StudentTMixture
from engram_audio.factorizer.networks import LinearPlusMlp
from engram_audio.numerics.units import LOG_2PI

LOG_SD_RANGE = (-7.0, 3.0)
FLOW_TRANSFORMS = 2
FLOW_WIDTH = 64


class Draw(NamedTuple):
    """A sample of each set of parameters, and what a gradient through it needs.

    Attributes:
        value: Shape [..., d].
        log_choice: Log probability of the component that was drawn, [...]; 0 without components.
    """

    value: Tensor
    log_choice: Tensor


class Posterior(NamedTuple):
    """q(z | .) = N(mean, diag sd^2), or a point where `log_sd` is None.

    Attributes:
        mean: Shape [..., d].
        log_sd: Shape [..., d], or None.
    """

    mean: Tensor
    log_sd: Tensor | None

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw one sample, by default with torch's own random state; the mean of a point."""
        if self.log_sd is None:
            return self.mean
        noise = torch.randn(self.mean.shape, generator=generator, device=self.mean.device)
        return self.at(noise)

    def at(self, noise: Tensor) -> Tensor:
        """Return the sample that standard normal draws make, shape [..., d]."""
        assert self.log_sd is not None
        return self.mean + self.log_sd.exp() * noise

    def log_prob(self, value: Tensor) -> Tensor:
        """Return log q(value), shape [..., d]: dimensions are independent."""
        assert self.log_sd is not None
        scaled = (value - self.mean) * torch.exp(-self.log_sd)
        return -0.5 * scaled.square() - self.log_sd - 0.5 * LOG_2PI

    def detach(self) -> "Posterior":
        """Return it without gradients."""
        return Posterior(self.mean.detach(), None if self.log_sd is None else self.log_sd.detach())


def fused(evidence: Posterior, mean: Tensor, variances: Tensor) -> Posterior:
    """Return the product of Gaussian evidence and a prior's moments, precisions added.

    Args:
        evidence: What the frames say, with its own SD.
        mean: Prior mean, shape [..., d].
        variances: Prior variances, shape [..., d].
    """
    assert evidence.log_sd is not None
    precision = torch.exp(-2 * evidence.log_sd)
    variance = 1 / (precision + 1 / variances)
    value = variance * (precision * evidence.mean + mean / variances)
    return Posterior(value, 0.5 * variance.log())


def split_posterior(parameters: Tensor) -> Posterior:
    """Return the Gaussian of a network's output, shape [..., 2 d]."""
    mean, log_sd = parameters.float().chunk(2, -1)
    return Posterior(mean, log_sd.clamp(*LOG_SD_RANGE))


def drawn_generator(device: torch.device) -> torch.Generator:
    """Return a generator seeded from torch's own random state: heads draw from generators."""
    seed = int(torch.randint(2**62, ()))
    return torch.Generator(device=device).manual_seed(seed)


class Conditional(nn.Module):
    """p(z | inputs): a head of the prediction stage on a small trunk, or on free parameters."""

    def __init__(
        self, head: DensityHead, num_inputs: int, width: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.head = head
        start = head.initial_parameters(generator)
        self.trunk = LinearPlusMlp(num_inputs, width, len(start)) if num_inputs else None
        if self.trunk is None:
            self.free = nn.Parameter(start.clone())
        else:
            with torch.no_grad():
                self.trunk.linear.weight.mul_(0.1)
                self.trunk.linear.bias.copy_(start)

    def parameters_of(self, inputs: Tensor) -> Tensor:
        """Return the head's parameters in float32, shape [..., P], of inputs [..., I]."""
        if self.trunk is None:
            return self.free.expand(*inputs.shape[:-1], -1)
        return self.trunk(inputs).float()

    @property
    def is_gaussian(self) -> bool:
        """Whether the divergence from a Gaussian posterior has a closed form."""
        return self.head.is_gaussian

    def gaussian(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and log SD, shape [..., d], of a one-component head."""
        assert isinstance(self.head, GaussianMixture)
        _, mean, log_sd, _ = self.head.split(parameters)
        return mean.squeeze(-2), log_sd.squeeze(-2)

    def moments(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance per dimension, shape [..., d], of a mixture head."""
        assert isinstance(self.head, Mixture)
        log_weights, means, log_sd, raw = self.head.split(parameters)
        variances = self.head.variances(log_sd, raw)
        weights = log_weights.exp().unsqueeze(-1)
        mean = (weights * means).sum(-2)
        return mean, (weights * (variances + means.square())).sum(-2) - mean.square()

    def sample(self, parameters: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one sample for each set of parameters [..., P], shape [..., d]."""
        return self.draw(parameters, generator).value

    def draw(self, parameters: Tensor, generator: torch.Generator) -> Draw:
        """Draw one sample for each set of parameters [..., P], for a gradient."""
        flat = parameters.reshape(-1, parameters.shape[-1])
        values, log_choice = self.head.draw(flat, 1, generator)
        shape = parameters.shape[:-1]
        return Draw(values[0].reshape(*shape, -1), log_choice[0].reshape(shape))

    def mean(self, parameters: Tensor) -> Tensor:
        """Return expectations, shape [..., d]."""
        flat = parameters.reshape(-1, parameters.shape[-1])
        return self.head.mean(flat).reshape(*parameters.shape[:-1], -1)


def build_density(
    family: str, num_dims: int, num_components: int, fixed_sigma: float | None = None
) -> DensityHead:
    """Build a head by family: gaussian, mixture, student_t, flow."""
    scales = LOG_SD_RANGE
    if fixed_sigma is not None:
        scales = (math.log(fixed_sigma), math.log(fixed_sigma))
    if family == "flow":
        return ConditionalFlow(num_dims, FLOW_TRANSFORMS, FLOW_WIDTH, 2 * num_dims)
    if family == "student_t":
        return StudentTMixture(num_dims, num_components, scales)
    return GaussianMixture(num_dims, 1 if family == "gaussian" else num_components, scales)


def gaussian_divergence(
    mean: Tensor, variances: Tensor, prior_mean: Tensor, prior_log_sd: Tensor
) -> Tensor:
    """Return E_q[-log p] per dimension for Gaussian p and q of these moments, shape [..., d]."""
    squares = (mean - prior_mean).square() + variances
    return 0.5 * squares * torch.exp(-2 * prior_log_sd) + prior_log_sd + 0.5 * LOG_2PI


def negative_entropy(log_sd: Tensor) -> Tensor:
    """Return E_q[log q] per dimension, shape [..., d]."""
    return -log_sd - 0.5 * (LOG_2PI + 1)


def divergence(
    posterior: Posterior, value: Tensor, prior: Conditional, parameters: Tensor
) -> Tensor:
    """Return KL[posterior || prior] by dimension, [..., d], or in sum, [..., 1].

    Exact for a Gaussian prior. For a mixture from one sample, each dimension given those before
    it: the posterior's dimensions are independent, so no part is below 0 in expectation. For
    others from one sample, in sum.
    """
    assert posterior.log_sd is not None
    if prior.is_gaussian:
        variances = (2 * posterior.log_sd).exp()
        cross = gaussian_divergence(posterior.mean, variances, *prior.gaussian(parameters))
        return cross + negative_entropy(posterior.log_sd)
    own = posterior.log_prob(value)
    theirs = prior.head.log_prob_by_dimension(parameters, value)
    if theirs is not None:
        return own - theirs
    return (own.sum(-1) - prior.head.log_prob(parameters, value)).unsqueeze(-1)
