"""Which files the calibration asks for: planted worlds through the rules of the structure stage."""

from collections.abc import Callable, Iterable
from typing import Any

from engram_audio.keys.plan import LawRun
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
        with_laws: Iterable[str] = (),
    ) -> None:
        """Keep the registered families and lags, and the worlds whose keys' laws are scored."""
        self.families, self.lags = list(families), list(lags_frames)
        self._latents, self._structure = latents, structure
        self._with_laws = list(with_laws)

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
        """Sections of the families that bugs are planted under: those that need no training."""
        return [
            f"calibration.families.{name}"
            for name in self.families
            if not self._structure.is_learned(name)
        ]

    def law_keys(self, wildcards: Any) -> list[str]:
        """The fitted keys of a world, of every registered family that is no oracle."""
        families = [name for name in self.families if name in self._structure.context_families]
        place = f"<results>/{FOLDER}/{wildcards.representation}/split-{wildcards.split_seed}"
        return [f"{place}/{family}.safetensors" for family in families]

    def law_files(self, name: str, lag_frames: int) -> list[str]:
        """One file of the laws of each world that has some, of the next step beside linear."""
        return [
            LawRun(world, self._latents.split_seeds(world)[0], lag_frames, "delta", "linear").file(
                name, FOLDER
            )
            for world in self._with_laws
        ]
