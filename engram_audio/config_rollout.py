"""The rollout sections of the configuration, and what they must agree on with the rest of it."""

from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, StringConstraints, computed_field, model_validator

from engram_audio.config_checks import require
from engram_audio.memory.config import LookupMemory
from engram_audio.rollout.config import (
    FORECASTERS,
    LINEAR_BASE,
    MEMORY_BASE,
    SHUFFLED_KEYS,
    TUNED,
    AnyMethod,
    BeliefMethod,
    DirectMethod,
    MethodSection,
    OneStepMethod,
    RefitMethod,
    RolloutBarsSection,
    RolloutSection,
    RolloutSweepSection,
    memory_base,
)
from engram_audio.rollout.sweep import expand_all
from engram_audio.section import Section
from engram_audio.training.config import TrainingRecipe

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]


class RolloutSections(Section):
    """Free running: stage, methods, sweeps and recipes."""

    rollout: RolloutSection
    rollout_bars: RolloutBarsSection
    rollout_methods: dict[Name, MethodSection] = Field(
        description="Ways to run free or to forecast, each frozen alone."
    )
    rollout_sweeps: dict[Name, RolloutSweepSection] = Field(
        description="Grids around a k_step method."
    )
    rollout_recipes: dict[Name, TrainingRecipe] = Field(
        description="Training recipes that rollout methods name; batch_frames counts true steps."
    )

    @computed_field
    @cached_property
    def rollout_runs(self) -> dict[str, MethodSection]:
        """Every method that is trained: the named ones and the points of the sweeps."""
        return expand_all(self.rollout_methods, self.rollout_sweeps)

    @model_validator(mode="after")
    def _check_rollout(self) -> "RolloutSections":
        check_rollout(self)
        return self


def check_rollout(config: Any) -> None:
    """Refuse names that do not exist and methods that cannot run.

    Raises:
        ValueError: Names the key, the value, what is allowed and the nearest of it.
    """
    methods, stage = config.rollout_methods, config.rollout
    for name, sweep in config.rollout_sweeps.items():
        stepwise = [key for key, method in methods.items() if method.kind == "k_step"]
        require(f"rollout_sweeps.{name}.method", sweep.method, stepwise)
        for base in sweep.bases:
            _check_base(f"rollout_sweeps.{name}.bases", base, "k_step", config)
    for name, method in methods.items():
        _check_method(name, method, config)
    for name in stage.player_methods:
        stepwise = [key for key, method in methods.items() if method.kind not in FORECASTERS]
        require("rollout.player_methods", name, stepwise)
    if stage.representations and not stage.seeds:
        raise ValueError("rollout.seeds: name at least one training seed")
    for name in stage.representations:
        require("rollout.representations", name, config.prediction.representations)
        if any(_needs_memory(method) for method in config.rollout_runs.values()):
            require("rollout.representations", name, config.memory.representations)
        require("prediction.lags_frames", 1, config.prediction.lags_frames)
        require("prediction.targets", "delta", config.prediction.targets)
    if any(hasattr(method, "base") for method in methods.values()):
        for seed in stage.seeds:  # a base of that seed is what a method starts from
            require("rollout.seeds", seed, config.prediction.seeds)
    if stage.representations and not any(m.kind in FORECASTERS for m in methods.values()):
        raise ValueError(
            "rollout_methods: without a method of kind belief or direct too little says what is "
            "attainable; add one"
        )


def _needs_memory(method: AnyMethod) -> bool:
    """Whether a method reads files of the memory stage."""
    return isinstance(method, RefitMethod) or memory_base(getattr(method, "base", "")) is not None


def _check_method(name: str, method: AnyMethod, config: Any) -> None:
    key = f"rollout_methods.{name}"
    if isinstance(method, RefitMethod):
        _check_refit(key, method, config)
        return
    if not isinstance(method, OneStepMethod):
        require(f"{key}.recipe", method.recipe, config.rollout_recipes)
    if not isinstance(method, BeliefMethod | DirectMethod):
        _check_base(f"{key}.base", method.base, method.kind, config)
    if isinstance(method, DirectMethod) and list(method.horizons_frames) != sorted(
        set(method.horizons_frames)
    ):
        raise ValueError(f"{key}.horizons_frames: list each horizon once, in ascending order")
    if isinstance(method, DirectMethod) and method.horizons_frames[-1] > (
        config.rollout.horizon_frames
    ):
        raise ValueError(
            f"{key}.horizons_frames: {method.horizons_frames[-1]} lies beyond "
            f"rollout.horizon_frames {config.rollout.horizon_frames}"
        )


def _check_refit(key: str, method: RefitMethod, config: Any) -> None:
    """A tuned head, and a lookup whose stage says how speakers are held out."""
    tuned = {
        name: row
        for name, row in config.rollout_methods.items()
        if row.kind in TUNED and row.base in config.prediction_heads
    }
    require(f"{key}.method", method.method, tuned)
    lookups = [name for name, row in config.memories.items() if isinstance(row, LookupMemory)]
    require(f"{key}.memory", method.memory, lookups)


def _check_base(key: str, base: str, kind: str, config: Any) -> None:
    """A head; where nothing is trained the linear null too; a memory whose base can do that."""
    fixed = [LINEAR_BASE] if kind == "one_step" else []
    require(key, base, [*config.prediction_heads, *fixed, *_memory_bases(kind, config)])


def _memory_bases(kind: str, config: Any) -> list[str]:
    """Lag-1 memories; a lookup on a linear null has no weights that a method could train."""
    if 1 not in config.memory.lags_frames or kind == "noise":
        return []
    found = []
    for name, row in config.memories.items():
        bases = config.memory.bases if isinstance(row, LookupMemory) else (row.head,)
        found += [
            f"{MEMORY_BASE}{base}:{name}"
            for base in bases
            if kind == "one_step" or base != LINEAR_BASE
        ]
    if kind == "one_step":
        found += [f"{base}:{SHUFFLED_KEYS}" for base in found]
    return found
