"""Mean and variance of the next frame in closed form, where the density has one.

Averaging these over sampled contexts instead of averaging draws takes the last step's noise out of
a forecast's estimate: at horizon 1 nothing is left of it, and where little is known of the future
nearly all is gone.

Shapes: R contexts, K components, D dimensions.
"""

from torch import Tensor

from engram_audio.prediction.base import Batch, LinearBase
from engram_audio.prediction.density import ConditionalDensity
from engram_audio.prediction.heads import DensityHead, GaussianMixture, StandardNormal
from engram_audio.rollout.leveled import LeveledDensity
from engram_audio.rollout.simulate import StepDensity


def has_laws(model: StepDensity) -> bool:
    """Whether `step_law` knows the model's family."""
    inner = model.inner if isinstance(model, LeveledDensity) else model
    known = StandardNormal | GaussianMixture
    return isinstance(inner, ConditionalDensity) and isinstance(inner.head, known)


def step_law(model: StepDensity, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return mean and variance of x_t given the context, each [R, D]."""
    inner = model.inner if isinstance(model, LeveledDensity) else model
    assert isinstance(inner, ConditionalDensity)
    owner = model if isinstance(model, LeveledDensity) else inner
    mean, variance = head_moments(inner.base, inner.head, owner.parameters_of(batch))
    mean = mean + inner.base.predict(batch)
    return (mean + batch.previous if inner.target == "delta" else mean), variance


def head_moments(base: LinearBase, head: DensityHead, parameters: Tensor) -> tuple[Tensor, Tensor]:
    """Return mean and variance of the residual, in the target's units, each [R, D]."""
    if isinstance(head, StandardNormal):
        variance = base.scale.square().sum(0).expand(len(parameters), -1)
        return variance.new_zeros(variance.shape), variance
    assert isinstance(head, GaussianMixture)
    log_weights, means, log_scales, _ = head.split(parameters)
    weights = log_weights.exp().unsqueeze(-1)
    within = (weights * (2 * log_scales).exp()).sum(-2)
    centres = base.unwhiten(means)
    mean = (weights * centres).sum(-2)
    between = (weights * (centres - mean.unsqueeze(-2)).square()).sum(-2)
    squares = base.scale.square()
    spread = within * squares.diagonal() if base.is_diagonal else within @ squares
    return mean, spread + between
