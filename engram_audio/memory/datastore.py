"""k-NN over a datastore of train frames: a lookup that keeps every frame it is given.

The law is a mixture of the base and of Gaussian kernels on what the neighbours stored, residuals of
the base that has not seen them; width, temperature and weight are chosen on the choice part.

Shapes: B targets, N stored, k neighbours, Q features, D dimensions.
"""

import itertools
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio.densities.base import Batch
from engram_audio.densities.density import ConditionalDensity
from engram_audio.keys.encoder import SMALLEST_SQUARE, KeyEncoder
from engram_audio.numerics.units import LOG_2PI

WIDTHS = (0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0)  # kernel SD, in whitened units
TEMPERATURES = (0.1, 0.3, 1.0, 3.0, 1e6)  # of the mean squared distance to the k-th neighbour
WEIGHTS = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97, 0.99, 0.999)


class Datastore(NamedTuple):
    """Features [N, Q] and stored whitened residuals [N, D] of train frames."""

    features: Tensor
    values: Tensor


class Neighbours(NamedTuple):
    """What a query found.

    Attributes:
        squares: Squared distances, shape [B, k], nearest first.
        distances: Of the stored residuals to the query's own, whitened, squared, shape [B, k].
        base_log: Log density of the base in whitened units, shape [B].
        num_dims: D.
    """

    squares: Tensor
    distances: Tensor
    base_log: Tensor
    num_dims: int


class KernelChoice(NamedTuple):
    """Kernel width, temperature and weight, and the distance that temperatures are told in.

    Attributes:
        width: SD of a kernel, whitened units.
        temperature: In `distance`.
        weight: Of the kernels against the base.
        distance: Mean squared distance to the k-th neighbour on the choice part.
        is_on_edge: Whether a wider grid might have done better.
    """

    width: float
    temperature: float
    weight: float
    distance: float = 1.0
    is_on_edge: bool = False


@torch.no_grad()
def search(
    store: Datastore, key: KeyEncoder, base: ConditionalDensity, batch: Batch, neighbours: int
) -> Neighbours:
    """Return the nearest stored frames of each target of a batch."""
    newest = key.features(batch.context, 0, batch.so_far)
    num_states = store.features.shape[1] // newest.shape[1]
    older = [key.features(batch.context, age, batch.so_far) for age in range(1, num_states)]
    features = torch.cat([newest, *older], 1)
    squares = (
        features.square().sum(1, keepdim=True)
        + store.features.square().sum(1)
        - 2 * features @ store.features.T
    )
    found = squares.topk(min(neighbours, len(store.features)), 1, largest=False)
    value = base.base.value(batch, base.target)
    own = base.base.whiten(value - base.mean(batch))
    distances = (store.values[found.indices] - own.unsqueeze(1)).square().sum(-1)
    base_log = base.log_prob(batch) - base.base.log_det
    return Neighbours(found.values.clamp_min(0), distances, base_log, own.shape[1])


def kernel_log(found: Neighbours, choice: KernelChoice) -> Tensor:
    """Return log densities in whitened units, shape [B]."""
    weights = torch.log_softmax(-found.squares / (choice.temperature * choice.distance), 1)
    constant = -found.num_dims * (np.log(choice.width) + 0.5 * LOG_2PI)
    kernels = torch.logsumexp(weights - 0.5 * found.distances / choice.width**2, 1) + constant
    if choice.weight == 0:
        return found.base_log
    mixed = torch.logaddexp(
        found.base_log + np.log1p(-choice.weight), kernels + np.log(choice.weight)
    )
    return mixed


def choose_kernel(found: Neighbours) -> KernelChoice:
    """Return the choice that scores best on queries of the choice part."""
    distance = max(float(found.squares[:, -1].double().mean()), SMALLEST_SQUARE)
    grid = itertools.product(WIDTHS, TEMPERATURES, WEIGHTS)
    choices = [KernelChoice(*values, distance) for values in grid]
    scores = [float(kernel_log(found, choice).double().mean()) for choice in choices]
    best = choices[int(np.argmax(scores))]
    is_on_edge = best.weight > 0 and (best.width == WIDTHS[0] or best.weight == WEIGHTS[-1])
    return best._replace(is_on_edge=is_on_edge)
