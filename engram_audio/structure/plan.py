"""Which files of the structure stage a configuration asks for."""

from collections.abc import Callable, Collection, Iterable
from typing import Any

from engram_audio.latents.plan import LatentsPlan
from engram_audio.structure.config import StructureSettings


class StructurePlan:
    """Keys of every analysed representation, on every split."""

    def __init__(
        self,
        settings: StructureSettings,
        latents: LatentsPlan,
        learned: Collection[str] = (),
        learned_on: Collection[str] = (),
    ) -> None:
        """Keep the used part of the stage.

        Args:
            settings: The stage.
            latents: What is analysed.
            learned: Families that networks are trained for.
            learned_on: Base representations on which they are; on others they are no candidates.
        """
        self._latents = latents
        self._learned, self._learned_on = set(learned), set(learned_on)
        self.families = list(settings.families)
        self._oracles = set(settings.library)
        self.context_families = [name for name in self.families if name not in self._oracles]

    def is_learned(self, family: str) -> bool:
        """Whether networks are trained for a family."""
        return family in self._learned

    def families_of(self, representation: str) -> list[str]:
        """The families that are scored on a representation or surrogate."""
        is_trained = self._latents.base_of(representation) in self._learned_on
        return [name for name in self.families if is_trained or name not in self._learned]

    def oracle_section(self, library: str) -> Callable[[Any], list[str]]:
        """The section of a job's oracle in a library; nothing for a family of keys."""

        def section(wildcards: Any) -> list[str]:
            return [f"{library}.{wildcards.family}"] if wildcards.family in self._oracles else []

        return section

    def tables(self, table: str) -> list[str]:
        """One table of every analysed representation, split and key family."""
        return [
            path
            for name in self._latents.analysed()
            for path in self.tables_of([name], self.families_of(name), table)
        ]

    def linear_tables(self) -> list[str]:
        """Linear baselines of every analysed representation and split."""
        return self.linear_tables_of(self._latents.analysed())

    def cells(self) -> list[str]:
        """Cells of the context keys, first split of each base representation."""
        return [
            f"<results>/structure/{name}/split-{self._latents.split_seeds(name)[0]}/{family}"
            "/cells.parquet"
            for name in self._latents.bases()
            for family in self.families_of(name)
            if family not in self._oracles
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
