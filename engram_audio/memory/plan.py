"""Which files of the memory stage a configuration asks for."""

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from engram_audio.corpus.plan import pattern
from engram_audio.keys.plan import KeysPlan
from engram_audio.latents.plan import LatentsPlan
from engram_audio.memory.config import LINEAR, EngramMemory, MemorySettings
from engram_audio.prediction.plan import PredictionPlan, model_file
from engram_audio.training.config import TrainingRecipe


class MemoryRun(NamedTuple):
    """One memory.

    Attributes:
        representation: What it predicts.
        lag: Its lag in frames.
        base: The predictor that it stands on.
        memory: Its name.
        seed: Its training seed.
    """

    representation: str
    lag: int | str
    base: str
    memory: str
    seed: int | str


class CurveRun(NamedTuple):
    """A curve of nats against size: what it predicts, its lag, its base, its training seed."""

    representation: str
    lag: int | str
    base: str
    seed: int | str


def curve_file(run: CurveRun, name: str) -> str:
    """One file of a curve."""
    rep, lag, base, seed = run
    return f"<results>/memory/{rep}/lag-{lag}/curve/{base}/seed-{seed}/{name}"


def run_file(run: MemoryRun, name: str) -> str:
    """One file of a memory."""
    rep, lag, base, memory, seed = run
    return f"<results>/memory/{rep}/lag-{lag}/{base}/{memory}/seed-{seed}/{name}"


class MemoryPlan:
    """Memories of every representation that has some."""

    def __init__(
        self,
        settings: MemorySettings,
        latents: LatentsPlan,
        prediction: PredictionPlan,
        keys: KeysPlan,
        recipes: Mapping[str, TrainingRecipe],
    ) -> None:
        """Keep the used part of the stage."""
        self._settings, self._latents = settings, latents
        self._prediction, self._keys, self._recipes = prediction, keys, recipes

    def runs(self) -> list[MemoryRun]:
        """Every memory on every base that it stands on."""
        stage = self._settings
        return [
            MemoryRun(name, lag, base, memory, seed)
            for name in stage.representations
            for lag in stage.lags_frames
            for memory, row in stage.library.items()
            for base in row.bases(stage.bases)
            for seed in stage.seeds
        ]

    def num_runs_of_one(self) -> int:
        """How many memories a representation has, without listing them."""
        stage = self._settings
        on_bases = sum(len(row.bases(stage.bases)) for row in stage.library.values())
        return on_bases * len(stage.lags_frames) * len(stage.seeds)

    def files(self, name: str) -> list[str]:
        """One file of every memory."""
        return [run_file(run, name) for run in self.runs()]

    def joint(self, is_joint: bool) -> str:
        """Regular expression of the memories that are trained with a head, or not; may be empty."""
        rows = self._settings.library.items()
        return pattern([name for name, row in rows if row.is_joint == is_joint])

    def has_head_base(self, base: str, memory: str) -> bool:
        """Whether a memory reads a trained head: one that is fitted on another base than linear."""
        return base != LINEAR and not self._settings.library[memory].is_joint

    def recipe(self, wildcards: Any) -> str:
        """The section of the training recipe that an Engram memory names."""
        return f"recipes.{self._joint(wildcards.memory).recipe}"

    def engram_head(self, wildcards: Any) -> str:
        """The section of the head that an Engram memory is trained with."""
        return f"prediction.library.{self._joint(wildcards.memory).head}"

    def _joint(self, memory: str) -> EngramMemory:
        row = self._settings.library[memory]
        if not row.is_joint:
            raise KeyError(f"{memory} is not trained")
        return cast(EngramMemory, row)

    def keys(self, wildcards: Any) -> str:
        """The fitted keys that hold a memory's key."""
        return self.keys_of(wildcards.memory, wildcards.representation)

    def keys_of(self, memory: str, representation: str) -> str:
        """The fitted keys that hold the key of a memory on a representation."""
        return self.key_file(self._settings.library[memory].key, representation)

    def key_file(self, key: str, representation: str) -> str:
        """The fitted keys that hold a key, on the first split."""
        split_seed = self._latents.split_seeds(representation)[0]
        return self._keys.file_of(key, representation, split_seed)

    def matched_recipe(self, wildcards: Any) -> str:
        """The recipe of the matched models: an Engram memory's, its head's, or the controls'."""
        if self._settings.library[wildcards.memory].is_joint:
            return self.recipe(wildcards)
        if self.has_head_base(wildcards.base, wildcards.memory):
            return self._prediction.recipe_of(wildcards.base)
        return f"recipes.{self._settings.controls.recipe}"

    def matched_head(self, wildcards: Any) -> str:
        """The family of the matched models: the base's own, or that of the controls."""
        base = wildcards.base
        return f"prediction.library.{self._settings.controls.head if base == LINEAR else base}"

    def memory_tuning(self, wildcards: Any, name: str = "memory_tuning.json") -> list[str]:
        """A file of the tuning of an Engram memory; none where nothing is tuned."""
        is_joint = self._settings.library[wildcards.memory].is_joint
        return self._tuned(wildcards, name, self.recipe(wildcards)) if is_joint else []

    def matched_tuning(self, wildcards: Any, name: str = "matched_tuning.json") -> list[str]:
        """A file of the tuning of a memory's matched nets; none where nothing is tuned."""
        return self._tuned(wildcards, name, self.matched_recipe(wildcards))

    def _tuned(self, wildcards: Any, name: str, recipe: str) -> list[str]:
        """One file at the first lag and seed: tuned once, then frozen for the others."""
        if self._recipes[recipe.removeprefix("recipes.")].tuning is None:
            return []
        lag, seed = self._settings.lags_frames[0], self._settings.seeds[0]
        run = MemoryRun(wildcards.representation, lag, wildcards.base, wildcards.memory, seed)
        return [run_file(run, name)]

    def tunings(self, ending: str) -> list[str]:
        """One file of every tuning of the stage: of Engram memories, then of matched nets."""
        places = {(run.representation, run.base, run.memory): run for run in self.runs()}
        return [
            path
            for run in places.values()
            for path in (
                *self.memory_tuning(run, f"memory_tuning{ending}"),
                *self.matched_tuning(run, f"matched_tuning{ending}"),
            )
        ]

    def curve_runs(self) -> list[CurveRun]:
        """Every curve of nats against size: of each base at each lag, with each seed."""
        if not self._settings.controls.curve_widths:
            return []
        places = (CurveRun(r.representation, r.lag, r.base, r.seed) for r in self.runs())
        return list(dict.fromkeys(places))

    def curves(self, name: str) -> list[str]:
        """One file of every curve."""
        return [curve_file(run, name) for run in self.curve_runs()]

    def curve_recipe(self, wildcards: Any) -> str:
        """The recipe of a curve's nets: that of the head, or the controls'."""
        if wildcards.base == LINEAR:
            return f"recipes.{self._settings.controls.recipe}"
        return self._prediction.recipe_of(wildcards.base)

    def curve_tuning(self, wildcards: Any, name: str = "curve_tuning.json") -> list[str]:
        """A file of the tuning of a curve's nets; none where nothing is tuned."""
        if self._recipes[self.curve_recipe(wildcards).removeprefix("recipes.")].tuning is None:
            return []
        lag, seed = self._settings.lags_frames[0], self._settings.seeds[0]
        return [curve_file(CurveRun(wildcards.representation, lag, wildcards.base, seed), name)]

    def curve_tunings(self, ending: str) -> list[str]:
        """One file of the tuning of every curve."""
        places = {(run.representation, run.base): run for run in self.curve_runs()}
        return [
            path
            for run in places.values()
            for path in self.curve_tuning(run, f"curve_tuning{ending}")
        ]

    def head_tuning(self, wildcards: Any) -> list[str]:
        """The tuning of the head that a fold head is the same as."""
        return self._prediction.tuning(wildcards)

    def base_model(self, wildcards: Any) -> list[str]:
        """The trained head under a memory; nothing under the linear base or an Engram memory."""
        if not self.has_head_base(wildcards.base, wildcards.memory):
            return []
        name, lag = wildcards.representation, wildcards.lag
        return [model_file(name, lag, wildcards.base, wildcards.seed)]

    def base_folds(self, wildcards: Any) -> list[str]:
        """The same head without each fold of speakers."""
        if not self.has_head_base(wildcards.base, wildcards.memory):
            return []
        name, lag = wildcards.representation, wildcards.lag
        return self.folds(name, lag, wildcards.base, wildcards.seed)

    def folds(self, representation: str, lag: int | str, head: str, seed: int | str) -> list[str]:
        """A head without each fold of speakers."""
        folder = f"<results>/memory/{representation}/lag-{lag}/folds/{head}/seed-{seed}"
        return [f"{folder}/fold-{fold}.safetensors" for fold in range(self._settings.num_folds)]

    def direct_scores(self) -> list[str]:
        """Scores of heads and nulls on what has memories, of the memories' seeds."""
        stage = self._settings
        return [
            path
            for name in (stage.representations if self.runs() else ())
            for seed in stage.seeds
            for path in self._prediction.scores_of(name, stage.lags_frames, seed)
        ]

    def summaries(self) -> list[str]:
        """Latent summaries of what has memories."""
        return self._latents.summaries(self._settings.representations)
