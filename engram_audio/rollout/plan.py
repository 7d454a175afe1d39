"""Which files of the rollout stage a configuration asks for."""

from typing import Any, NamedTuple, cast

from engram_audio.corpus.plan import pattern
from engram_audio.latents.plan import LatentsPlan
from engram_audio.memory.plan import MemoryPlan, MemoryRun
from engram_audio.memory.plan import run_file as memory_file
from engram_audio.prediction.plan import model_file
from engram_audio.rollout.config import RolloutSettings
from engram_audio.rollout.method_config import LINEAR_BASE, RefitMethod, memory_base
from engram_audio.rollout.sweep import sweep_of


class RolloutRun(NamedTuple):
    """One rollout method, trained where it is.

    Attributes:
        representation: What it runs on.
        method: The method, or the point of a sweep.
        seed: Its training seed.
    """

    representation: str
    method: str
    seed: int | str


def run_file(run: RolloutRun, name: str) -> str:
    """One file of a rollout method."""
    representation, method, seed = run
    return f"<results>/rollout/{representation}/{method}/seed-{seed}/{name}"


class RolloutPlan:
    """Methods of every representation that runs free."""

    def __init__(self, settings: RolloutSettings, latents: LatentsPlan, memory: MemoryPlan) -> None:
        """Keep the used part of the stage."""
        self._settings, self._latents, self._memory = settings, latents, memory

    def runs(self) -> list[RolloutRun]:
        """Every rollout method."""
        return [
            RolloutRun(name, method, seed)
            for name in self._settings.representations
            for method in self._settings.library
            for seed in self._settings.seeds
        ]

    def files(self, name: str) -> list[str]:
        """One file of every rollout method."""
        return [run_file(run, name) for run in self.runs()]

    def sweeps(self) -> dict[str, str]:
        """The sweep of every rollout method; nothing for a named one."""
        stage = self._settings
        return {run: sweep_of(run, stage.methods, stage.grids) for run in stage.library}

    def refitted(self, is_refit: bool) -> str:
        """Regular expression of the methods that are, or are not, refitted lookups."""
        names = self._settings.library
        return pattern([name for name in names if bool(self.refit_of(name)) == is_refit])

    def recipe_of(self, method: str) -> str | None:
        """The training recipe of a method; None where nothing is trained."""
        settings = self._settings.library[method]
        return self.recipe_of(settings.refit_of) if settings.refit_of else settings.recipe_name

    def head_of(self, method: str) -> str | None:
        """The head that takes a method's steps; None for a forecaster or a linear base."""
        settings = self._settings.library[method]
        if settings.refit_of:
            return self.head_of(settings.refit_of)
        if settings.base_name in ("", LINEAR_BASE):
            return None
        found = memory_base(settings.base_name)
        if found is not None:
            return found[0] if self._memory.has_head_base(*found) else None
        return settings.base_name

    def memory_of(self, method: str) -> tuple[str, str] | None:
        """Base and memory that take a method's steps; None where no memory does."""
        return memory_base(self._settings.library[method].base_name)

    def refit_of(self, method: str) -> RefitMethod | None:
        """What a lookup is fitted on anew; None for other methods."""
        settings = self._settings.library[method]
        return cast(RefitMethod, settings) if settings.refit_of else None

    # Input functions of rules. The rules that decode audio take the first training seed.

    def _run(self, wildcards: Any) -> RolloutRun:
        seed = getattr(wildcards, "seed", None)
        seed = self._settings.seeds[0] if seed is None else seed
        return RolloutRun(wildcards.representation, wildcards.method, seed)

    def recipe(self, wildcards: Any) -> list[str]:
        """The section of the recipe that a method names; nothing where nothing is trained."""
        name = self.recipe_of(wildcards.method)
        return [f"recipes.{name}"] if name else []

    def model(self, wildcards: Any) -> str:
        """The trained method."""
        return run_file(self._run(wildcards), "model.safetensors")

    def base_model(self, wildcards: Any) -> list[str]:
        """The trained density that takes a method's steps; nothing where there is none."""
        head, run = self.head_of(wildcards.method), self._run(wildcards)
        return [model_file(run.representation, 1, head, run.seed)] if head else []

    def memory(self, wildcards: Any) -> list[str]:
        """The memory that takes a method's steps; nothing where none does."""
        found, run = self.memory_of(wildcards.method), self._run(wildcards)
        if found is None:
            return []
        memory = MemoryRun(run.representation, 1, *found, run.seed)
        return [memory_file(memory, "memory.safetensors")]

    def tuned_model(self, wildcards: Any) -> list[str]:
        """The tuned head that a lookup is fitted on anew; nothing for other methods."""
        refit, run = self.refit_of(wildcards.method), self._run(wildcards)
        return [run_file(run._replace(method=refit.method), "model.safetensors")] if refit else []

    def tuned_section(self, wildcards: Any) -> list[str]:
        """The section of that head's method."""
        refit = self.refit_of(wildcards.method)
        return [f"rollout.library.{refit.method}"] if refit else []

    def refit_lookup(self, wildcards: Any) -> str:
        """The section of the lookup that is fitted anew."""
        refit = self.refit_of(wildcards.method)
        if refit is None:
            raise KeyError(f"{wildcards.method} fits no lookup anew")
        return f"memory.library.{refit.memory}"

    def refit_keys(self, wildcards: Any) -> list[str]:
        """The fitted keys that hold the key of the lookup that is fitted anew."""
        refit = self.refit_of(wildcards.method)
        return [self._memory.keys_of(refit.memory, wildcards.representation)] if refit else []

    def guard_keys(self, wildcards: Any) -> list[str]:
        """The fitted keys that hold the key of a method's guard; nothing where it names none."""
        key = self._settings.library[wildcards.method].guard_key
        return [self._memory.key_file(key, wildcards.representation)] if key else []

    def refit_folds(self, wildcards: Any) -> list[str]:
        """The head without each fold of speakers."""
        head, run = self.head_of(wildcards.method), self._run(wildcards)
        return self._memory.folds(run.representation, 1, head, run.seed) if head else []

    def players(self) -> list[str]:
        """Players of every chosen method on every representation that a codec decodes."""
        return [
            f"<results>/report_assets/{name}.rollout.{run}/players.json"
            for name in self._settings.representations
            if self._latents.is_heard(name)
            for run in self._settings.player_methods
        ]
