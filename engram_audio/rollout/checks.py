"""What the rollout stage must agree on with the stages that it stands on."""

from collections.abc import Mapping
from typing import cast

from engram_audio.choices import require, require_listed
from engram_audio.keys.config import KeyFamily, require_context_key
from engram_audio.memory.config import MemorySettings
from engram_audio.prediction.config import PredictionSettings
from engram_audio.rollout.config import RolloutSettings
from engram_audio.rollout.method_config import (
    LINEAR_BASE,
    MEMORY_BASE,
    SHUFFLED_KEYS,
    AnyMethod,
    KStepMethod,
    RefitMethod,
    memory_base,
)
from engram_audio.rollout.sweep import sweep_of
from engram_audio.training.config import TrainingRecipe


def check_rollout(
    stage: RolloutSettings,
    prediction: PredictionSettings,
    memory: MemorySettings,
    keys: Mapping[str, KeyFamily],
    window_frames: int,
    recipes: Mapping[str, TrainingRecipe],
) -> None:
    """Refuse names that do not exist and methods that cannot run.

    Args:
        stage: The stage, with what runs only (`sweep.used_methods`).
        prediction: The prediction stage, used heads only.
        memory: The memory stage, used memories only.
        keys: Key families by name.
        window_frames: W, frames of context.
        recipes: All training recipes.

    Raises:
        ValueError: Names the key, the value, what is allowed and the nearest of it.
    """
    if not stage.representations:
        return
    for name, grid in stage.grids.items():
        for base in grid.bases:
            allowed = allowed_bases(KStepMethod, prediction, memory)
            require(f"rollout.grids.{name}.bases", base, allowed)
    for name, method in stage.library.items():
        _check_centred(f"rollout.library.{name}.base", method, memory, keys)
        if method.guard_key is not None:
            require_context_key(f"rollout.library.{name}.guard.key", method.guard_key, keys)
        sweep = sweep_of(name, stage.methods, stage.grids)
        owner = stage.grids[sweep].method if sweep else name  # the key that a person wrote
        key = f"rollout.library.{owner}"
        method.check(key, window_frames, stage.horizon_frames, recipes)
        if method.base_name:
            require(f"{key}.base", method.base_name, allowed_bases(method, prediction, memory))
        if method.refit_of is not None:
            _check_refit(key, cast(RefitMethod, method), stage, prediction, memory)
    if not stage.seeds:
        raise ValueError("rollout.seeds: name at least one training seed")
    for name in stage.player_methods:
        stepwise = [key for key, row in stage.library.items() if not row.is_forecaster]
        require("rollout.player_methods", name, stepwise)
    key = "rollout.representations"
    for name in stage.representations:
        require_listed(key, name, "prediction.representations", prediction.representations)
        if any(_needs_memory(method) for method in stage.library.values()):
            require_listed(key, name, "memory.representations", memory.representations)
    require("prediction.lags_frames", 1, prediction.lags_frames)
    require("prediction.targets", "delta", prediction.targets)
    if any(method.base_name for method in stage.library.values()):
        for seed in stage.seeds:  # a base of that seed is what a method starts from
            require("rollout.seeds", seed, prediction.trained_seeds)
    if not any(method.is_forecaster for method in stage.library.values()):
        raise ValueError(
            "rollout.methods: without a method of kind belief or direct too little says what is "
            "attainable; add one"
        )


def _needs_memory(method: AnyMethod) -> bool:
    """Whether a method reads files of the memory stage."""
    return method.refit_of is not None or memory_base(method.base_name) is not None


def _check_refit(
    key: str,
    method: RefitMethod,
    stage: RolloutSettings,
    prediction: PredictionSettings,
    memory: MemorySettings,
) -> None:
    """A tuned head, and a lookup whose stage says how speakers are held out."""
    tuned = {
        name: row
        for name, row in stage.library.items()
        if row.is_tuned and row.base_name in prediction.library
    }
    require(f"{key}.method", method.method, tuned)
    lookups = [name for name, row in memory.library.items() if not row.is_joint]
    require(f"{key}.memory", method.memory, lookups)


def _check_centred(
    where: str, method: AnyMethod, memory: MemorySettings, keys: Mapping[str, KeyFamily]
) -> None:
    """Refuse training along paths with a memory that must know what the speaker said before."""
    on = memory_base(method.base_name)
    if on is not None and method.trains_base and on[1] in memory.library:
        reader = "a method that is trained along paths"
        require_context_key(where, memory.library[on[1]].key, keys, reader)


def allowed_bases(
    method: AnyMethod | type[AnyMethod], prediction: PredictionSettings, memory: MemorySettings
) -> list[str]:
    """Return what a method may stand on; where nothing is trained `linear` too."""
    fixed = [] if method.trains_base else [LINEAR_BASE]
    memories = _memory_bases(memory, method.trains_base) if method.takes_memories else []
    return [*prediction.library, *fixed, *memories]


def _memory_bases(memory: MemorySettings, is_trained: bool) -> list[str]:
    """Lag-1 memories; a lookup on a linear null has no weights that a method could train."""
    if 1 not in memory.lags_frames:
        return []
    found = [
        f"{MEMORY_BASE}{base}:{name}"
        for name, row in memory.library.items()
        for base in row.bases(memory.bases)
        if not is_trained or base != LINEAR_BASE
    ]
    return found if is_trained else [*found, *(f"{base}:{SHUFFLED_KEYS}" for base in found)]
