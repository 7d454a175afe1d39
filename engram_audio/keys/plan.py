"""Which files of fitted keys a configuration asks for."""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from engram_audio.corpus.plan import pattern
from engram_audio.keys.config import KeysSettings, LearnedKeys, family_of
from engram_audio.keys.law_config import LawSettings, learned_families, recipes_of_family
from engram_audio.latents.config import SURROGATE_MARK
from engram_audio.latents.plan import LatentsPlan


def keys_file(representation: str, split_seed: int | str, family: str, folder: str) -> str:
    """The fitted keys of a family."""
    return f"<results>/{folder}/{representation}/split-{split_seed}/{family}.safetensors"


class KeysPlan:
    """Fitted keys: one file for each representation, split and family that something names."""

    def __init__(self, settings: KeysSettings, lags_frames: Iterable[int]) -> None:
        """Keep the used families, and the lags that some stage asks for."""
        self._settings = settings
        self.families = list(settings.library)
        self._lagged = {name for name, row in settings.library.items() if row.needs_targets}
        self.lags = sorted(set(lags_frames))

    def fitted_at(self, lags_frames: list[int]) -> Callable[[Any], list[int]]:
        """The fact of a job: its lags; none where the keys of its family are those of every lag."""
        return lambda wildcards: lags_frames if wildcards.family in self._lagged else []

    def of_family(self, folder: str) -> Callable[[Any], list[str]]:
        """Input function: the keys of a job's family; nothing for an oracle."""

        def paths(wildcards: Any) -> list[str]:
            if wildcards.family not in self.families:
                return []
            return [
                keys_file(wildcards.representation, wildcards.split_seed, wildcards.family, folder)
            ]

        return paths

    def file_of(self, key: str, representation: str, split_seed: int | str) -> str:
        """The file that holds a key of a base representation."""
        return keys_file(representation, split_seed, family_of(key), "keys")

    def learned_families(self) -> dict[str, LearnedKeys]:
        """Return the families that networks are trained for."""
        return learned_families(self._settings.library)

    def learned(self, is_learned: bool) -> str:
        """Regular expression of the families that networks are trained for, or of the others."""
        rows = self._settings.library.items()
        return pattern([name for name, row in rows if is_learned == row.IS_LEARNED])


class LawRun(NamedTuple):
    """Scores of one representation at one target, base and lag.

    Attributes:
        representation: Name.
        split_seed: Seed of the split.
        lag: Its lag in frames.
        target: position or delta.
        base: none or linear.
    """

    representation: str
    split_seed: int | str
    lag: int | str
    target: str
    base: str

    def file(self, name: str, folder: str = "keys") -> str:
        """One file of the run."""
        place = f"{self.representation}/split-{self.split_seed}/lag-{self.lag}"
        return f"<results>/{folder}/{place}/{self.target}/{self.base}/{name}"


class LawPlan:
    """Predictors, learned keys and scores of keys by their laws."""

    def __init__(self, stage: LawSettings, keys: KeysPlan, latents: LatentsPlan) -> None:
        """Keep the used part of the stage."""
        self._stage, self._keys, self._latents = stage, keys, latents
        self._families = keys.learned_families()

    def runs(self) -> list[LawRun]:
        """Every scored representation, surrogates among them, at every aim."""
        stage = self._stage
        marks = ["", *(f"{SURROGATE_MARK}{name}" for name in stage.surrogates)]
        return [
            LawRun(f"{name}{mark}", self._latents.split_seeds(name)[0], lag, target, base)
            for name in stage.representations
            for mark in marks
            for lag in stage.lags_frames
            for target in stage.targets
            for base in stage.bases
        ]

    def keys(self) -> list[str]:
        """Names of the keys that are scored."""
        return list(self._stage.scored)

    def files(self, name: str) -> list[str]:
        """One file of every run."""
        return [run.file(name) for run in self.runs()]

    def direction_files(self) -> list[str]:
        """The directions of the step, which no target and base change: one file for each lag."""
        stage = self._stage
        first = (stage.targets[0], stage.bases[0])
        return [
            run.file("directions.parquet") for run in self.runs() if (run.target, run.base) == first
        ]

    def predictor(self, wildcards: Any) -> str:
        """The predictor of a run."""
        return self._run(wildcards).file("predictor.safetensors")

    def key_files(self, wildcards: Any) -> list[str]:
        """The fitted keys that a run scores."""
        names = dict.fromkeys(family_of(key) for key in self._stage.scored)
        return [
            self._keys.file_of(f"{name}.", wildcards.representation, wildcards.split_seed)
            for name in names
        ]

    def of_family(self, folder: str) -> Callable[[Any], str]:
        """Input function: the predictor that a learned family clusters."""

        def path(wildcards: Any) -> str:
            family = self._families[wildcards.family]
            run = LawRun(
                wildcards.representation, wildcards.split_seed, family.lag_frames, family.target,
                family.base,
            )  # fmt: skip
            return run.file("predictor.safetensors", folder)

        return path

    def recipes(self, wildcards: Any) -> list[str]:
        """The sections of the training recipes that a learned family names."""
        names = recipes_of_family(self._families[wildcards.family])
        return [f"recipes.{name}" for name in names]

    def predictor_recipe(self) -> str:
        """The section of the predictor's training recipe."""
        return f"recipes.{self._stage.predictor.recipe}"

    def _run(self, wildcards: Any) -> LawRun:
        return LawRun(
            wildcards.representation, wildcards.split_seed, wildcards.lag, wildcards.target,
            wildcards.base,
        )  # fmt: skip
