"""The kind `refit`: a lookup on a head that rollout training has tuned, folds tuned alike."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.fit import Material
from engram_audio.keys.fitted import FittedKey
from engram_audio.memory.config import AnyMemory
from engram_audio.memory.folds import Candidate, fold_material
from engram_audio.numerics.seeds import named_seed
from engram_audio.rollout.fit import train_method
from engram_audio.rollout.method_config import AnyMethod
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState

EVENT = "delta"


def tune_fold(
    settings: AnyMethod,
    recipe: TrainingRecipe,
    material: Material,
    fold: int,
    num_folds: int,
    head: nn.Module,
    seed: int,
    device: torch.device,
    state: TrainingState | None,
    callbacks: Callbacks,
) -> tuple[nn.Module, TrainingState]:
    """Tune a fold's head as the method tuned the whole one, without that fold's speakers.

    See `training.loop.train` for interruption and resuming.
    """
    held = fold_material(material, fold, num_folds, 1, EVENT)
    return train_method(settings, recipe, held, head, seed, device, state, callbacks)


def fit_on_tuned(
    settings: AnyMemory,
    key: FittedKey,
    material: Material,
    tuned: ConditionalDensity,
    folds: Sequence[ConditionalDensity],
    name: str,
    seed: int,
    device: torch.device,
) -> Any:
    """Fit the memory at lag 1 beside the tuned head; residuals come from the tuned folds."""
    candidate = Candidate(name, tuned, list(folds))
    number = named_seed(seed, "refit")
    module, own = settings.behaviour()
    return module.fit(own, key, material, 1, [candidate], number, device, False)
