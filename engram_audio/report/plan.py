"""Which files the report asks for."""

from engram_audio.factorizer.plan import FactorizerPlan
from engram_audio.generation.plan import GenerationPlan
from engram_audio.latents.plan import LatentsPlan
from engram_audio.report.config import ReportSection
from engram_audio.rollout.plan import RolloutPlan
from engram_audio.trust.plan import CalibrationPlan


class ReportPlan:
    """What the page gathers beside tables."""

    def __init__(
        self,
        settings: ReportSection,
        latents: LatentsPlan,
        factorizer: FactorizerPlan,
        rollout: RolloutPlan,
        generation: GenerationPlan,
        calibration: CalibrationPlan,
    ) -> None:
        """Keep what is played and the plans of what is shown."""
        self._settings, self._latents = settings, latents
        self._factorizer, self._rollout, self._calibration = factorizer, rollout, calibration
        self._generation = generation

    def documents(self) -> list[str]:
        """The decision and, where worlds are configured, the calibration."""
        names = ["decision", "calibration"] if self._calibration.worlds() else ["decision"]
        return [f"<results>/{name}.json" for name in names]

    def verified(self) -> list[str]:
        """What was recomputed without the package, where that is asked for."""
        return ["<results>/verified.json"] if self._settings.is_verified else []

    def summaries(self) -> list[str]:
        """Latent summaries of all base representations."""
        return self._latents.summaries(self._latents.bases())

    def latents(self) -> list[str]:
        """These and, where a codec decodes, round trips, resyntheses and free runs to hear."""
        return self.summaries() + self._players()

    def _players(self) -> list[str]:
        if not self._settings.num_players:
            return []
        heard = [name for name in self._latents.bases() if self._latents.is_heard(name)]
        round_trips = [f"<results>/report_assets/{name}/players.json" for name in heard]
        stages = (self._factorizer, self._rollout, self._generation)
        return round_trips + [path for stage in stages for path in stage.players()]
