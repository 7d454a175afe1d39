"""Which files of the structure stage a configuration asks for."""

from collections.abc import Callable, Iterable
from typing import Any

from engram_audio.latents.plan import LatentsPlan
from engram_audio.structure.config import StructureSettings


class StructurePlan:
    """Keys of every analysed representation, on every split."""

    def __init__(self, settings: StructureSettings, latents: LatentsPlan) -> None:
        """Keep the used part of the stage."""
        self._latents = latents
        self.families = list(settings.families)
        self._oracles = set(settings.library)
        self.context_families = [name for name in self.families if name not in self._oracles]

    def oracle_section(self, library: str) -> Callable[[Any], list[str]]:
        """The section of a job's oracle in a library; nothing for a family of keys."""

        def section(wildcards: Any) -> list[str]:
            return [f"{library}.{wildcards.family}"] if wildcards.family in self._oracles else []

        return section

    def tables(self, table: str) -> list[str]:
        """One table of every analysed representation, split and key family."""
        return self.tables_of(self._latents.analysed(), self.families, table)

    def linear_tables(self) -> list[str]:
        """Linear baselines of every analysed representation and split."""
        return self.linear_tables_of(self._latents.analysed())

    def cells(self) -> list[str]:
        """Cells of the context keys, first split of each base representation."""
        return [
            f"<results>/structure/{name}/split-{self._latents.split_seeds(name)[0]}/{family}"
            "/cells.parquet"
            for name in self._latents.bases()
            for family in self.context_families
        ]

    def tables_of(
        self,
        representations: Iterable[str],
        families: Iterable[str],
        table: str,
        folder: str = "structure",
    ) -> list[str]:
        """One table of some representations, on every split, and of some key families."""
        families = list(families)
        return [
            f"<results>/{folder}/{name}/split-{seed}/{family}/{table}.parquet"
            for name in representations
            for seed in self._latents.split_seeds(name)
            for family in families
        ]

    def linear_tables_of(
        self, representations: Iterable[str], folder: str = "structure"
    ) -> list[str]:
        """Linear baselines of some representations on every split."""
        return [
            f"<results>/{folder}/{name}/split-{seed}/linear.parquet"
            for name in representations
            for seed in self._latents.split_seeds(name)
        ]
