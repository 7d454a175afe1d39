"""Same-family marginals without context, grown until the choice part stops improving (SCIENCE 0.2).

An eight-component head against one Gaussian measures shape, not context; and a marginal too small
for its data credits the head with what the marginal lacks. So the family grows.
"""

from typing import NamedTuple

import numpy as np
import torch

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import HeadSection
from engram_audio.densities.data import WindowData
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.factory import build_marginal, log_floor_of
from engram_audio.densities.task import DensityTask
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import train

CPU = torch.device("cpu")
VALUE_BATCH = 8192


class MarginalFit(NamedTuple):
    """A grown marginal.

    Attributes:
        model: The density of the best size.
        num_components: Its components.
        choice_nll: Its score on the choice part.
        growth: Components and score of every size tried.
        has_stopped: Whether a doubling gained too little, and not the limit on components, ended
            the growth. Without it a larger marginal might still be better.
    """

    model: ConditionalDensity
    num_components: int
    choice_nll: float
    growth: list[tuple[int, float]]
    has_stopped: bool


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
    num_components = settings.components
    best: MarginalFit | None = None
    growth: list[tuple[int, float]] = []
    while True:
        model = build_marginal(settings, arrays, num_components, noise_sd, seed)
        score = _fit_one(settings, recipe, model, arrays, data, noise_sd, seed)
        growth.append((num_components, score))
        gain = np.inf if best is None else best.choice_nll - score
        if gain > 0:
            best = MarginalFit(model, num_components, score, growth, False)
        num_components *= 2
        has_stopped = bool(gain < settings.marginal.minimum_gain_nats)
        if has_stopped or num_components > settings.maximum_components:
            assert best is not None
            return best._replace(growth=growth, has_stopped=has_stopped)


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
    parameters = model.head.fit_by_em(
        lambda: (whitened_targets(model, data[0]), whitened_targets(model, data[1])),
        log_floor_of(arrays, noise_sd),
        seed,
        0.5 * settings.marginal.minimum_gain_nats,
    )
    if parameters is None:
        return train(task, recipe, seed, CPU).best_score
    model.load_state_dict({"trunk.parameters_vector": parameters}, strict=False)
    with torch.no_grad():
        return task.validate()


@torch.no_grad()
def whitened_targets(model: ConditionalDensity, data: WindowData) -> np.ndarray:
    """Return z of all targets under the model's base, shape [M, D], float64."""
    parts = []
    for start in range(0, len(data), VALUE_BATCH):
        batch = data.batch(torch.arange(start, min(start + VALUE_BATCH, len(data))), CPU)
        value = model.base.value(batch, model.target)
        parts.append(model.base.whiten(value - model.base.predict(batch)).double().numpy())
    return np.concatenate(parts)
