"""What the rollout stage must agree on with the stages that it stands on."""

from collections.abc import Mapping

from engram_audio.choices import require, require_listed
from engram_audio.keys.config import KeyFamily, require_context_key
from engram_audio.memory.config import LookupMemory, MemorySettings
from engram_audio.prediction.config import PredictionSettings
from engram_audio.rollout.config import (
    FORECASTERS,
    LINEAR_BASE,
    MEMORY_BASE,
    SHUFFLED_KEYS,
    TUNED,
    AnyMethod,
    BeliefMethod,
    DirectMethod,
    OneStepMethod,
    RefitMethod,
    RolloutSettings,
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
            allowed = allowed_bases("k_step", prediction, memory)
            require(f"rollout.grids.{name}.bases", base, allowed)
    for name, method in stage.library.items():
        if isinstance(method, DirectMethod) and method.order_frames > window_frames:
            raise ValueError(
                f"rollout.library.{name}.order_frames: {method.order_frames} frames are more than "
                f"the context of views.window_frames {window_frames}; shorten it"
            )
        guard_key = getattr(getattr(method, "guard", None), "key", None)
        if guard_key:
            require_context_key(f"rollout.library.{name}.guard.key", guard_key, keys)
        sweep = sweep_of(name, stage.methods, stage.grids)
        owner = stage.grids[sweep].method if sweep else name  # the key that a person wrote
        _check_method(owner, method, stage, prediction, memory, recipes)
    if not stage.seeds:
        raise ValueError("rollout.seeds: name at least one training seed")
    for name in stage.player_methods:
        stepwise = [key for key, row in stage.library.items() if row.kind not in FORECASTERS]
        require("rollout.player_methods", name, stepwise)
    key = "rollout.representations"
    for name in stage.representations:
        require_listed(key, name, "prediction.representations", prediction.representations)
        if any(_needs_memory(method) for method in stage.library.values()):
            require_listed(key, name, "memory.representations", memory.representations)
    require("prediction.lags_frames", 1, prediction.lags_frames)
    require("prediction.targets", "delta", prediction.targets)
    if any(hasattr(method, "base") for method in stage.library.values()):
        for seed in stage.seeds:  # a base of that seed is what a method starts from
            require("rollout.seeds", seed, prediction.seeds)
    if not any(method.kind in FORECASTERS for method in stage.library.values()):
        raise ValueError(
            "rollout.methods: without a method of kind belief or direct too little says what is "
            "attainable; add one"
        )


def _needs_memory(method: AnyMethod) -> bool:
    """Whether a method reads files of the memory stage."""
    return isinstance(method, RefitMethod) or memory_base(getattr(method, "base", "")) is not None


def _check_method(
    name: str,
    method: AnyMethod,
    stage: RolloutSettings,
    prediction: PredictionSettings,
    memory: MemorySettings,
    recipes: Mapping[str, TrainingRecipe],
) -> None:
    key = f"rollout.library.{name}"
    if isinstance(method, RefitMethod):
        _check_refit(key, method, stage, prediction, memory)
        return
    if not isinstance(method, OneStepMethod):
        require(f"{key}.recipe", method.recipe, recipes)
    if not isinstance(method, BeliefMethod | DirectMethod):
        require(f"{key}.base", method.base, allowed_bases(method.kind, prediction, memory))
    if isinstance(method, DirectMethod):
        _check_horizons(key, method, stage)


def _check_horizons(key: str, method: DirectMethod, stage: RolloutSettings) -> None:
    horizons = method.horizons_frames
    if horizons[-1] > stage.horizon_frames:
        raise ValueError(
            f"{key}.horizons_frames: {horizons[-1]} lies beyond rollout.horizon_frames "
            f"{stage.horizon_frames}"
        )


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
        if row.kind in TUNED and getattr(row, "base", "") in prediction.library
    }
    require(f"{key}.method", method.method, tuned)
    lookups = [name for name, row in memory.library.items() if isinstance(row, LookupMemory)]
    require(f"{key}.memory", method.memory, lookups)


def allowed_bases(kind: str, prediction: PredictionSettings, memory: MemorySettings) -> list[str]:
    """Return what a method may stand on; where nothing is trained `linear` too."""
    fixed = [LINEAR_BASE] if kind == "one_step" else []
    return [*prediction.library, *fixed, *_memory_bases(kind, memory)]


def _memory_bases(kind: str, memory: MemorySettings) -> list[str]:
    """Lag-1 memories; a lookup on a linear null has no weights that a method could train."""
    if 1 not in memory.lags_frames or kind == "noise":
        return []
    found = []
    for name, row in memory.library.items():
        bases = memory.bases if isinstance(row, LookupMemory) else (row.head,)
        found += [
            f"{MEMORY_BASE}{base}:{name}"
            for base in bases
            if kind == "one_step" or base != LINEAR_BASE
        ]
    if kind == "one_step":
        found += [f"{base}:{SHUFFLED_KEYS}" for base in found]
    return found
