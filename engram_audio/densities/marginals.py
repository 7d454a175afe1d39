"""Same-family marginals without context, grown until the choice part stops improving (SCIENCE 0.2).

An eight-component head against one Gaussian measures shape, not context; and a marginal too small
for its data credits the head with what the marginal lacks. So the family grows.
"""

from typing import NamedTuple

import numpy as np
import torch

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import HeadSection, StudentTMixtureHead
from engram_audio.densities.data import WindowData
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.factory import (
    build_marginal,
    can_grow,
    components_of,
    has_em,
    log_floor_of,
    set_mixture,
)
from engram_audio.densities.heads import _Mixture
from engram_audio.densities.marginal_em import MixtureParameters, fit_mixture
from engram_audio.densities.task import DensityTask
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import train

CPU = torch.device("cpu")
VALUE_BATCH = 8192


class MarginalFit(NamedTuple):
    """A grown marginal: the model, its components, and the score of every size tried."""

    model: ConditionalDensity
    num_components: int
    choice_nll: float
    growth: list[tuple[int, float]]


def fit_marginal(
    settings: HeadSection,
    recipe: TrainingRecipe,
    arrays: BaseArrays,
    data: tuple[WindowData, WindowData],
    noise_sd: np.ndarray,
    seed: int,
) -> MarginalFit:
    """Fit the head's family without context, doubling its components while the choice part gains.

    Args:
        settings: The head's section.
        recipe: Training of families without EM.
        arrays: Gaussian marginal of the target: the base.
        data: Targets of train and of the choice part; a marginal does not look at contexts, a base
            that does wants them at its lag.
        noise_sd: Dequantisation noise, shape [D].
        seed: Decides starts and batches.
    """
    num_components = components_of(settings)
    best: MarginalFit | None = None
    growth: list[tuple[int, float]] = []
    while True:
        model = build_marginal(settings, arrays, num_components, noise_sd, seed)
        score = _fit_one(settings, recipe, model, arrays, data, noise_sd, seed)
        growth.append((num_components, score))
        gain = np.inf if best is None else best.choice_nll - score
        if gain > 0:
            best = MarginalFit(model, num_components, score, growth)
        num_components *= 2
        is_largest = num_components > settings.marginal.maximum_components
        if gain < settings.marginal.minimum_gain_nats or is_largest or not can_grow(settings):
            assert best is not None
            return best._replace(growth=growth)


def _fit_one(
    settings: HeadSection,
    recipe: TrainingRecipe,
    model: ConditionalDensity,
    arrays: BaseArrays,
    data: tuple[WindowData, WindowData],
    noise_sd: np.ndarray,
    seed: int,
) -> float:
    task = DensityTask(model, *data, CPU)
    if not has_em(settings):
        return train(task, recipe, seed, CPU).best_score
    assert isinstance(model.head, _Mixture)
    low, _ = settings.log_sigma_range  # type: ignore[union-attr]
    floor = log_floor_of(arrays, noise_sd)
    log_floor = np.full(len(arrays.frame_mean), low) if floor is None else floor.numpy()
    mixture, _ = fit_em(settings, model, data, np.exp(np.maximum(log_floor, low)), seed)
    set_mixture(model, mixture)
    with torch.no_grad():
        return task.validate()


def fit_em(
    settings: HeadSection,
    model: ConditionalDensity,
    data: tuple[WindowData, WindowData],
    floor: np.ndarray,
    seed: int,
) -> tuple[MixtureParameters, float]:
    """Run EM on the whitened targets; see `marginal_em.fit_mixture`."""
    train_z, choice_z = (whitened_targets(model, part) for part in data)
    return fit_mixture(
        train_z,
        choice_z,
        model.head.num_components,  # type: ignore[arg-type]
        floor,
        isinstance(settings, StudentTMixtureHead),
        np.random.default_rng([seed, int(model.head.num_components)]),  # type: ignore[arg-type]
        0.5 * settings.marginal.minimum_gain_nats,
    )


@torch.no_grad()
def whitened_targets(model: ConditionalDensity, data: WindowData) -> np.ndarray:
    """Return z of all targets under the model's base, shape [M, D], float64."""
    parts = []
    for start in range(0, len(data), VALUE_BATCH):
        batch = data.batch(torch.arange(start, min(start + VALUE_BATCH, len(data))), CPU)
        value = model.base.value(batch, model.target)
        parts.append(model.base.whiten(value - model.base.predict(batch)).double().numpy())
    return np.concatenate(parts)
