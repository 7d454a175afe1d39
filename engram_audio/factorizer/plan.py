"""Which files of the factorizer stage a configuration asks for."""

from typing import Any, NamedTuple

from engram_audio.factorizer.config import FactorizerSettings
from engram_audio.factorizer.sweep import sweep_of
from engram_audio.latents.plan import LatentsPlan
from engram_audio.prediction.plan import PredictionPlan


class FactorizerRun(NamedTuple):
    """One trained factoriser.

    Attributes:
        representation: What it factorises.
        factorizer: The variant, or the point of a sweep.
        seed: Its training seed.
    """

    representation: str
    factorizer: str
    seed: int


def run_file(run: FactorizerRun, name: str) -> str:
    """One file of a trained factoriser."""
    representation, factorizer, seed = run
    return f"<results>/factorizer/{representation}/{factorizer}/seed-{seed}/{name}"


class FactorizerPlan:
    """Factorisers of every factorised representation, and the states that are exported."""

    def __init__(
        self, settings: FactorizerSettings, latents: LatentsPlan, prediction: PredictionPlan
    ) -> None:
        """Keep the used part of the stage."""
        self._settings, self._latents, self._prediction = settings, latents, prediction

    def runs(self) -> list[FactorizerRun]:
        """Every trained factoriser."""
        return [
            FactorizerRun(name, run, seed)
            for name in self._settings.representations
            for run in self._settings.library
            for seed in self._settings.seeds
        ]

    def files(self, name: str) -> list[str]:
        """One file of every trained factoriser."""
        return [run_file(run, name) for run in self.runs()]

    def recipe(self, wildcards: Any) -> str:
        """The section of a factoriser's training recipe."""
        return f"recipes.{self._settings.library[wildcards.factorizer].recipe}"

    def sweeps(self) -> dict[str, str]:
        """The sweep of every trained factoriser; nothing for a variant."""
        stage = self._settings
        return {run: sweep_of(run, stage.variants, stage.grids) for run in stage.library}

    def direct_scores(self) -> list[str]:
        """Lag-1 scores of heads and nulls on what is factorised, first training seed."""
        seed = self._prediction.seeds[0]
        return [
            path
            for name in self._settings.representations
            for path in self._prediction.scores_of(name, [1], seed)
        ]

    def summaries(self) -> list[str]:
        """Latent summaries of what is factorised."""
        return self._latents.summaries(self._settings.representations)

    def first_model(self, wildcards: Any) -> str:
        """A factoriser of the first training seed."""
        seed = self._settings.seeds[0]
        run = FactorizerRun(wildcards.representation, wildcards.factorizer, seed)
        return run_file(run, "model.safetensors")

    def state_model(self, wildcards: Any) -> str:
        """The factoriser whose z_dyn a representation is."""
        row = self._latents.state_of(wildcards.representation)
        return run_file(FactorizerRun(row.source, row.factorizer, row.seed), "model.safetensors")

    def state_sources(self) -> dict[str, str]:
        """The source of every exported z_dyn."""
        return {name: self._latents.source_of(name) for name in self._latents.states()}

    def state_summaries(self) -> list[str]:
        """Latent summaries of exported z_dyn and of their sources."""
        sources = self.state_sources()
        return self._latents.summaries(dict.fromkeys([*sources.values(), *sources]))

    def state_predictions(self) -> list[str]:
        """The prediction table, where some z_dyn is predicted."""
        predicted = self._prediction.predicted()
        is_predicted = any(name in predicted for name in self._latents.states())
        return ["<results>/tables/prediction.csv"] if is_predicted else []

    def players(self) -> list[str]:
        """Players of every variant on every factorised representation that a codec decodes."""
        return [
            f"<results>/report_assets/{name}.{run}/players.json"
            for name in self._settings.representations
            if self._latents.is_heard(name)
            for run in self._settings.variants
        ]
