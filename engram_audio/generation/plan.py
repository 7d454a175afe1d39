"""Which files of the generation stage a configuration asks for."""

from typing import Any, NamedTuple

from engram_audio.calibration.config import WORLD_PREFIX
from engram_audio.factorizer.plan import FactorizerRun
from engram_audio.factorizer.plan import run_file as factorizer_file
from engram_audio.generation.config import GenerationSettings
from engram_audio.keys.plan import KeysPlan
from engram_audio.latents.plan import LatentsPlan


class GenerationRun(NamedTuple):
    """All arms and seeds of one generator on one representation: one training job."""

    representation: str
    generator: str


def run_file(run: GenerationRun, name: str) -> str:
    """One file of a run."""
    return f"<results>/generation/{run.representation}/{run.generator}/{name}"


class GenerationPlan:
    """Generators of every representation that has some, worlds with known answers among them."""

    def __init__(self, settings: GenerationSettings, latents: LatentsPlan, keys: KeysPlan) -> None:
        """Keep the used part of the stage."""
        self._settings, self._latents, self._keys = settings, latents, keys

    def representations(self) -> list[str]:
        """What is generated, worlds last."""
        worlds = [f"{WORLD_PREFIX}{name}" for name in self._settings.worlds]
        return list(dict.fromkeys([*self._settings.representations, *worlds]))

    def runs(self) -> list[GenerationRun]:
        """Every generator on every representation."""
        return [
            GenerationRun(name, generator)
            for name in self.representations()
            for generator in self._settings.library
        ]

    def files(self, name: str) -> list[str]:
        """One file of every run."""
        return [run_file(run, name) for run in self.runs()]

    def path_runs(self) -> list[GenerationRun]:
        """Every generator over every z_dyn that is generated."""
        states = self._settings.factorized.states
        return [GenerationRun(name, one) for name in states for one in self._settings.library]

    def path_files(self, name: str) -> list[str]:
        """One file of each of them."""
        return [run_file(run, name) for run in self.path_runs()]

    def states(self) -> list[str]:
        """Representations whose z_dyn is generated."""
        return list(self._settings.factorized.states)

    def prices(self) -> list[str]:
        """Scores of every size of every run; none where a study trains the arms alone."""
        return self.files("prices.parquet") if self._settings.has_sizes else []

    def probes(self) -> list[str]:
        """What the arms of every run were asked; none where nothing is asked."""
        asked = self._settings.probes
        found = self.files("probes.parquet") if asked.of_arms else []
        if asked.has_reencoding:
            found += [
                run_file(run, "reencoded.parquet")
                for run in self.runs()
                if run.representation in self._settings.representations  # worlds have no sound
                and self._latents.is_heard(run.representation)
            ]
        return found

    def decoded(self) -> list[str]:
        """Representations whose generators are decoded, scored and heard."""
        return list(self._settings.audio.representations)

    def audio(self, name: str) -> list[str]:
        """One file of every generator that is decoded."""
        return [run_file(run, name) for run in self.runs() if run.representation in self.decoded()]

    def players(self) -> list[str]:
        """What there is to hear of them."""
        return self.audio("players.json") if self._settings.audio.num_players else []

    def tables_of_worlds(self) -> list[str]:
        """Tables that tell whether known answers came out; none where no world is generated."""
        if not self._settings.worlds:
            return []
        names = [f"generation{ending}" for ending in ("", "_gains", "_health", "_keys", "_replay")]
        return [f"<results>/tables/{name}.csv" for name in names]

    # Input functions of rules.

    def arms(self, wildcards: Any) -> list[str]:
        """Fact: the arms of a job."""
        if wildcards.representation in self._settings.factorized.states:
            return list(self._settings.factorized.arms)
        if wildcards.representation in self._settings.representations:
            return list(self._settings.library[wildcards.generator].arms)
        world = wildcards.representation.removeprefix(WORLD_PREFIX)
        return list(self._settings.world_arms[world])

    def recipe(self, wildcards: Any) -> str:
        """The section of the recipe that a generator names."""
        return f"recipes.{self._settings.library[wildcards.generator].recipe}"

    def keys(self, wildcards: Any) -> str:
        """The fitted keys that hold a generator's key."""
        name = wildcards.representation
        key = self._settings.library[wildcards.generator].insertion.key
        return self._keys.file_of(key, name, self._latents.split_seeds(name)[0])

    def transcripts(self, wildcards: Any) -> list[str]:
        """The utterances whose transcripts a generator is told; none for others."""
        condition = self._settings.library[wildcards.generator].model.condition
        if condition is None or condition.text is None:
            return []
        return [self._latents.utterances(wildcards)]

    def direct(self, wildcards: Any) -> list[str]:
        """The direct generators whose work those over z_dyn have; none for other jobs."""
        if wildcards.representation not in self.states():
            return []
        source = self._latents.source_of(wildcards.representation)
        return [run_file(GenerationRun(source, wildcards.generator), "generators.safetensors")]

    def factorizer(self, wildcards: Any) -> list[str]:
        """The factoriser that decodes z_dyn; none for other jobs."""
        name = wildcards.representation
        return [self._factorizer_of(name)] if name in self.states() else []

    def _factorizer_of(self, state: str) -> str:
        row = self._latents.state_of(state)
        return factorizer_file(
            FactorizerRun(row.source, row.factorizer, row.seed), "model.safetensors"
        )

    def source_nulls(self, wildcards: Any) -> str:
        """The nulls of what was factorised."""
        source = self._latents.source_of(wildcards.representation)
        return f"<results>/prediction/{source}/linear/nulls.safetensors"

    def source_shards(self, wildcards: Any) -> list[str]:
        """The shards of what was factorised."""
        return self._latents.shard_files(self._latents.source_of(wildcards.representation))

    def _states_of(self, source: str) -> list[str]:
        return [name for name in self.states() if self._latents.source_of(name) == source]

    def paths_of(self, wildcards: Any) -> list[str]:
        """Generators over the z_dyn of a representation that is decoded."""
        return [
            run_file(GenerationRun(name, wildcards.generator), "generators.safetensors")
            for name in self._states_of(wildcards.representation)
        ]

    def factorizers_of(self, wildcards: Any) -> list[str]:
        """Their factorisers, in the same order."""
        return [self._factorizer_of(name) for name in self._states_of(wildcards.representation)]
