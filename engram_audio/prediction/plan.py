"""Which files of the prediction stage a configuration asks for."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from engram_audio.latents.plan import LatentsPlan
from engram_audio.prediction.config import PredictionSettings
from engram_audio.training.config import TrainingRecipe

ROOT = "<results>/prediction"


class PredictionRun(NamedTuple):
    """One trained density.

    Attributes:
        representation: What it predicts.
        lag: Its lag in frames.
        head: Its head.
        seed: Its training seed.
    """

    representation: str
    lag: int
    head: str
    seed: int


def model_file(representation: str, lag: int | str, head: str, seed: int | str) -> str:
    """The trained density of a head."""
    return f"{ROOT}/{representation}/lag-{lag}/{head}/seed-{seed}/model.safetensors"


class PredictionPlan:
    """Heads and nulls of every predicted representation."""

    def __init__(
        self,
        settings: PredictionSettings,
        latents: LatentsPlan,
        deciding: Collection[str],
        recipes: Mapping[str, TrainingRecipe],
    ) -> None:
        """Keep the used part of the stage; heads on `deciding` representations have more seeds."""
        self._settings, self._latents, self._deciding = settings, latents, deciding
        self._recipes = recipes
        self.seeds = list(settings.seeds)

    def seeds_of(self, representation: str) -> list[int]:
        """Training seeds of the heads on a representation: more of them where they decide."""
        further = self._settings.deciding_seeds if representation in self._deciding else ()
        return list(dict.fromkeys([*self.seeds, *further]))

    def predicted(self) -> list[str]:
        """Representations of the stage: the chosen bases with their surrogates."""
        chosen = self._settings.representations
        names = self._latents.analysed()
        return [name for name in names if self._latents.base_of(name) in chosen]

    def heads_of(self, representation: str) -> list[str]:
        """Heads trained on a representation: all on a base, the chosen ones on a surrogate."""
        if self._latents.surrogate_of(representation) is None:
            return list(self._settings.library)
        return list(self._settings.surrogate_heads)

    def runs(self) -> list[PredictionRun]:
        """Every trained density."""
        return [
            PredictionRun(name, lag, head, seed)
            for name in self.predicted()
            for lag in self._settings.lags_frames
            for head in self.heads_of(name)
            for seed in self.seeds_of(name)
        ]

    def num_runs_of(self, representation: str) -> int:
        """How many densities are trained on a representation, without listing them."""
        heads = len(self.heads_of(representation))
        return heads * len(self._settings.lags_frames) * len(self.seeds_of(representation))

    def recipe_of(self, head: str) -> str:
        """The section of a head's training recipe."""
        return f"recipes.{self._settings.library[head].recipe}"

    def head_recipe(self, wildcards: Any) -> str:
        """The section of a head's training recipe."""
        return self.recipe_of(wildcards.head)

    def tuning(self, wildcards: Any, name: str = "tuning.json") -> list[str]:
        """A file of the tuning of a head on a representation; none where its recipe tunes nothing.

        It is tuned once, at the first lag and with the first seed, and the setting is frozen.
        """
        if self._recipes[self._settings.library[wildcards.head].recipe].tuning is None:
            return []
        lag, seed = self._settings.lags_frames[0], self._settings.seeds[0]
        return [f"{ROOT}/{wildcards.representation}/lag-{lag}/{wildcards.head}/seed-{seed}/{name}"]

    def tunings(self, name: str) -> list[str]:
        """One file of the tuning of every head that is trained."""
        places = {(run.representation, run.head): run for run in self.runs()}
        return [path for run in places.values() for path in self.tuning(run, name)]

    def marginal_recipe(self, wildcards: Any) -> str:
        """The section of the recipe of a head's marginal, where EM does not apply."""
        return f"recipes.{self._settings.library[wildcards.head].marginal.recipe}"

    def marginals(self, wildcards: Any) -> list[str]:
        """The marginals of all heads of a representation."""
        name, seed = wildcards.representation, wildcards.seed
        return [
            f"{ROOT}/{name}/marginal/{head}/seed-{seed}/marginal.safetensors"
            for head in self.heads_of(name)
        ]

    def tables(self, name: str, with_nulls: bool) -> list[str]:
        """All tables of one name: those of the heads and, where they exist, of the nulls."""
        paths = [
            f"{ROOT}/{run.representation}/lag-{run.lag}/{run.head}/seed-{run.seed}/{name}.parquet"
            for run in self.runs()
        ]
        nulls = self.predicted() if with_nulls else []
        return paths + [
            f"{ROOT}/{rep}/nulls/seed-{seed}/{name}.parquet"
            for rep in nulls
            for seed in self.seeds_of(rep)
        ]

    def scores_of(self, representation: str, lags: Iterable[int], seed: int) -> list[str]:
        """Scores of all heads of a representation at some lags, then of its nulls."""
        heads = self.heads_of(representation)
        scored = [*(f"lag-{lag}/{head}" for lag in lags for head in heads), "nulls"]
        return [f"{ROOT}/{representation}/{one}/seed-{seed}/scores.parquet" for one in scored]

    def summaries(self) -> list[str]:
        """Latent summaries of what is predicted."""
        return self._latents.summaries(self.predicted())
