"""Mean and variance of the next frame in closed form, where the density has one.

Averaging these over sampled contexts instead of averaging draws takes the last step's noise out of
a forecast's estimate: at horizon 1 nothing is left of it, and where little is known of the future
nearly all is gone. Only flows have no closed form; a forecast from their draws loses about D / M
nats to the others.

Shapes: R contexts, K components, m entries, D dimensions.
"""

from torch import Tensor

from engram_audio.densities.base import Batch, LinearBase
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.heads import (
    DensityHead,
    GaussianMixture,
    LowRankMixture,
    StandardNormal,
    StudentTMixture,
)
from engram_audio.memory.density import MemoryDensity
from engram_audio.rollout.leveled import LeveledDensity
from engram_audio.rollout.simulate import StepDensity

Mixture = GaussianMixture | StudentTMixture | LowRankMixture


def has_laws(model: StepDensity) -> bool:
    """Whether `step_law` knows the model's family."""
    if isinstance(model, MemoryDensity):
        return has_laws(model.base)
    inner = model.inner if isinstance(model, LeveledDensity) else model
    return isinstance(inner, ConditionalDensity) and isinstance(
        inner.head, StandardNormal | Mixture
    )


def step_law(model: StepDensity, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return mean and variance of x_t given the context, each [R, D]."""
    mean, variance = value_law(model, batch)
    return (mean + batch.previous if model.target == "delta" else mean), variance


def value_law(model: StepDensity, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the model's own target, each [R, D]."""
    if isinstance(model, MemoryDensity):
        return memory_law(model, batch)
    inner = model.inner if isinstance(model, LeveledDensity) else model
    assert isinstance(inner, ConditionalDensity)
    owner = model if isinstance(model, LeveledDensity) else inner
    mean, variance = head_moments(inner.base, inner.head, owner.parameters_of(batch))
    return mean + inner.base.predict(batch), variance


def memory_law(model: MemoryDensity, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return the moments of base and entries mixed, each [R, D]."""
    base_mean, base_variance = value_law(model.base, batch)
    weights, centres, spreads = model.entry_laws(batch)
    weights, rest = weights.unsqueeze(-1), 1 - weights.sum(1, keepdim=True)
    mean = rest * base_mean + (weights * centres).sum(1)
    variance = rest * (base_variance + (base_mean - mean).square())
    return mean, variance + (weights * (spreads + (centres - mean.unsqueeze(1)).square())).sum(1)


def head_moments(base: LinearBase, head: DensityHead, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the residual, in the target's units, each [R, D]."""
    if isinstance(head, StandardNormal):
        variance = base.scale.square().sum(0).expand(len(parameters), -1)
        return variance.new_zeros(variance.shape), variance
    assert isinstance(head, Mixture)
    log_weights, means, log_scales, rest = head.split(parameters)
    weights = log_weights.exp().unsqueeze(-1)
    within = (2 * log_scales).exp()
    if isinstance(head, StudentTMixture):
        freedom = head.freedom(rest).unsqueeze(-1)
        within = within * freedom / (freedom - 2)
    spread = base.spread((weights * within).sum(-2))
    if isinstance(head, LowRankMixture):
        factors = base.unwhiten(head.factors(rest).mT)  # [R, K, Q, D]
        spread = spread + (weights * factors.square().sum(-2)).sum(-2)
    centres = base.unwhiten(means)
    mean = (weights * centres).sum(-2)
    between = (weights * (centres - mean.unsqueeze(-2)).square()).sum(-2)
    return mean, spread + between
