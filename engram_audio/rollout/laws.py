"""Mean and variance of the next frame in closed form, where the density has one.

Averaging these over sampled contexts instead of averaging draws takes the last step's noise out of
a forecast's estimate: at horizon 1 nothing is left of it, and where little is known of the future
nearly all is gone. Flows have no closed form; a forecast from their draws loses about D / M nats to
the others.

Shapes: R contexts, D dimensions.
"""

from torch import Tensor

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Density


def step_law(model: Density, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return mean and variance of x_t given the context, each [R, D]."""
    mean, variance = model.moments(batch)
    return (mean + batch.previous if model.target == "delta" else mean), variance
