"""Which files the calibration asks for: planted worlds through the rules of the structure stage."""

from collections.abc import Callable, Iterable
from typing import Any

from engram_audio.latents.plan import LatentsPlan
from engram_audio.structure.plan import StructurePlan

FOLDER = "calibration"


class CalibrationPlan:
    """Worlds, their surrogates, and the registered keys that they are scored with."""

    def __init__(
        self,
        families: Iterable[str],
        lags_frames: Iterable[int],
        latents: LatentsPlan,
        structure: StructurePlan,
    ) -> None:
        """Keep the registered families and lags."""
        self.families, self.lags = list(families), list(lags_frames)
        self._latents, self._structure = latents, structure

    def worlds(self) -> list[str]:
        """Representations whose answers are known."""
        return self._latents.worlds

    def _with_surrogates(self, wildcards: Any) -> list[str]:
        return self._latents.with_surrogates([wildcards.representation])

    def world_tables(self, table: str) -> Callable[[Any], list[str]]:
        """Input function: one table of the structure stage for a world and its surrogates."""

        def paths(wildcards: Any) -> list[str]:
            names = self._with_surrogates(wildcards)
            return self._structure.tables_of(names, self.families, table, FOLDER)

        return paths

    def world_linear(self, wildcards: Any) -> list[str]:
        """Linear baselines of a world and its surrogates."""
        return self._structure.linear_tables_of(self._with_surrogates(wildcards), FOLDER)

    def world_summaries(self, wildcards: Any) -> list[str]:
        """Latent summaries of a world and its surrogates."""
        return self._latents.summaries(self._with_surrogates(wildcards))

    def of_each_world(self, file: str) -> list[str]:
        """One file of every world."""
        return [f"<results>/{FOLDER}/{name}/{file}" for name in self.worlds()]

    def family_sections(self) -> list[str]:
        """Sections of the families that the worlds are scored with."""
        return [f"calibration.families.{name}" for name in self.families]
