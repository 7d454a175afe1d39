"""The whole configuration: composes the sections, checks what lies between them.

Only the Snakefile, the schema writer and tests import this module; a step imports its own section.
"""

import json
from functools import cached_property
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError, computed_field, model_validator

from engram_audio.calibration.config import WORLD_PREFIX, CalibrationSection
from engram_audio.calibration.names import WORLD_NAMES
from engram_audio.codecs.config import CodecSection, PluginCodecSettings
from engram_audio.codecs.entry_points import plugin_names
from engram_audio.codecs.fitted_config import CodecLadderSection, FittedCodecSettings
from engram_audio.codecs.ladder import expand_ladders
from engram_audio.comparison.config import CodecComparisonSection
from engram_audio.config_bounds import require_bounded
from engram_audio.config_checks import check_memories, require
from engram_audio.config_messages import explain_all
from engram_audio.config_rollout import RolloutSections
from engram_audio.corpus.config import CorpusSection, SplitsSection
from engram_audio.corpus_checks import check_roots
from engram_audio.errors import InputError
from engram_audio.factorizer.config import (
    FactorizerEvaluationSection,
    FactorizerHealthSection,
    FactorizerSection,
    FactorizerStageSection,
    FactorizerSweepSection,
)
from engram_audio.factorizer.sweep import expand_all
from engram_audio.latents.config import (
    CodecRepresentation,
    LatentsSection,
    RepresentationSection,
    StateRepresentation,
    WorldRepresentation,
)
from engram_audio.memory.config import (
    MemoryControlsSection,
    MemorySection,
    MemoryStageSection,
    MemoryVerdictSection,
)
from engram_audio.prediction.config import (
    HeadSection,
    PredictionEvaluationSection,
    PredictionNullsSection,
    PredictionSection,
)
from engram_audio.report.config import ReportSection
from engram_audio.representation_checks import check_comparison, check_sources
from engram_audio.section import Section
from engram_audio.stats.config import StatisticsSection
from engram_audio.structure.config import (
    DecisionSection,
    KeyFamilySection,
    StructureSection,
    TargetOracleKeys,
    codebook_sizes,
    registered_part,
)
from engram_audio.training.config import TrainingRecipe

Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]


class PathvarsSection(Section):
    """Where outputs go (Snakemake pathvars)."""

    results: str = Field(default="results", description="Folder of results.")
    logs: str = Field(default="logs", description="Folder of logs.")
    benchmarks: str = Field(default="benchmarks", description="Folder of benchmarks.")


class WorkflowConfig(RolloutSections):
    """The experiment."""

    pathvars: PathvarsSection = PathvarsSection()
    corpora: dict[Name, CorpusSection] = Field(description="Audio, by name.")
    splits: SplitsSection
    codecs: dict[Name, CodecSection] = Field(description="Codecs, by name.")
    codec_ladders: dict[Name, CodecLadderSection] = Field(
        default={}, description="Trained codecs at several weights of their KL."
    )
    latents: LatentsSection
    representations: dict[Name, RepresentationSection] = Field(
        min_length=1, description="Named sequences of vectors; every analysis runs on each."
    )
    structure: StructureSection
    structure_keys: dict[Name, KeyFamilySection] = Field(
        min_length=1, description="Key families, one job for each representation and split."
    )
    prediction: PredictionSection
    prediction_nulls: PredictionNullsSection
    prediction_heads: dict[Name, HeadSection] = Field(
        min_length=1, description="Density heads, each frozen alone and trained at every lag."
    )
    prediction_recipes: dict[Name, TrainingRecipe] = Field(
        min_length=1, description="Training recipes that heads name."
    )
    prediction_evaluation: PredictionEvaluationSection
    factorizer: FactorizerStageSection
    factorizer_variants: dict[Name, FactorizerSection] = Field(
        description="Factorisers, each frozen alone."
    )
    factorizer_sweeps: dict[Name, FactorizerSweepSection] = Field(
        description="Grids around a variant."
    )
    factorizer_recipes: dict[Name, TrainingRecipe] = Field(
        description="Training recipes that factorisers name."
    )
    factorizer_health: FactorizerHealthSection
    factorizer_evaluation: FactorizerEvaluationSection
    memory: MemoryStageSection
    memories: dict[Name, MemorySection] = Field(description="Memories, each frozen alone.")
    memory_recipes: dict[Name, TrainingRecipe] = Field(
        description="Training recipes that memories and their matched models name."
    )
    memory_controls: MemoryControlsSection
    memory_verdict: MemoryVerdictSection
    codec_comparison: CodecComparisonSection
    statistics: StatisticsSection
    decision: DecisionSection
    calibration: CalibrationSection
    report: ReportSection

    @computed_field
    @property
    def calibration_structure(self) -> StructureSection:
        """The structure section as far as the registered gate needs it: worlds run with this."""
        changes = {
            "lags_frames": tuple(sorted({1, self.decision.lag_frames})),
            "slices": tuple(dict.fromkeys(["all", *self.decision.slices])),
            "principal_subspaces": (),
        }
        return self.structure.model_copy(update=changes)

    @computed_field
    @property
    def calibration_keys(self) -> dict[str, KeyFamilySection]:
        """The families of registered keys, cut to these, and the oracle that gives the floor."""
        families = {
            name: registered_part(name, family, self.decision.keys)
            for name, family in self.structure_keys.items()
        }
        return {name: family for name, family in families.items() if family is not None}

    @computed_field
    @cached_property
    def factorizer_runs(self) -> dict[str, FactorizerSection]:
        """Every factoriser that is trained: the variants and the points of the sweeps."""
        return expand_all(self.factorizer_variants, self.factorizer_sweeps)

    @model_validator(mode="after")
    def _check_memories(self) -> "WorkflowConfig":
        check_memories(self)
        return self

    @model_validator(mode="after")
    def _check_factorizers(self) -> "WorkflowConfig":
        for name, sweep in self.factorizer_sweeps.items():
            require(f"factorizer_sweeps.{name}.variant", sweep.variant, self.factorizer_variants)
        runs = expand_all(self.factorizer_variants, self.factorizer_sweeps)
        for name, variant in self.factorizer_variants.items():
            key = f"factorizer_variants.{name}.recipe"
            require(key, variant.recipe, self.factorizer_recipes)
        stage = self.factorizer
        if stage.representations and not stage.seeds:
            raise ValueError("factorizer.seeds: name at least one training seed")
        for name in stage.representations:
            # its frames, nulls and direct predictors are what a factoriser is held against
            require("factorizer.representations", name, self.prediction.representations)
            require("prediction.lags_frames", 1, self.prediction.lags_frames)
            require("prediction.targets", "position", self.prediction.targets)
        for name, row in self.representations.items():
            if isinstance(row, StateRepresentation):
                key = f"representations.{name}"
                require(f"{key}.source", row.source, stage.representations)
                require(f"{key}.factorizer", row.factorizer, runs)
                require(f"{key}.seed", row.seed, stage.seeds)
        return self

    @model_validator(mode="after")
    def _check_references(self) -> "WorkflowConfig":
        check_roots(self.corpora)
        if not self.splits.seeds:
            raise ValueError("splits.seeds: name at least one split seed")
        for name, ladder in self.codec_ladders.items():
            require(f"codec_ladders.{name}.codec", ladder.codec, self.codecs)
        codecs = expand_ladders(self.codecs, self.codec_ladders)
        for name, row in self.representations.items():
            if isinstance(row, CodecRepresentation):
                require(f"representations.{name}.corpus", row.corpus, self.corpora)
                require(f"representations.{name}.codec", row.codec, codecs)
            elif name in self.corpora:
                raise ValueError(
                    f"representations.{name}: brings its own utterances, so it must not share its "
                    "name with a corpus; rename one of them"
                )
            if isinstance(row, WorldRepresentation):
                require(f"representations.{name}.world", row.world, WORLD_NAMES)
        for name, codec in self.codecs.items():
            if isinstance(codec, FittedCodecSettings):
                require(f"codecs.{name}.corpus", codec.corpus, self.corpora)
                require(f"codecs.{name}.split_seed", codec.split_seed, self.splits.seeds)
            if isinstance(codec, PluginCodecSettings):
                require(f"codecs.{name}.plugin", codec.plugin, plugin_names())
        for name in self.calibration.worlds.names:
            require("calibration.worlds.names", name, WORLD_NAMES)
        for name in self.representations:
            if name.startswith(WORLD_PREFIX):
                raise ValueError(
                    f"representations.{name}: names that begin with {WORLD_PREFIX!r} belong to "
                    "calibration.worlds; rename it"
                )
        require("decision.representation", self.decision.representation, self.representations)
        require("decision.lag_frames", self.decision.lag_frames, self.structure.lags_frames)
        for name in self.decision.slices:
            require("decision.slices", name, self.structure.slices)
        if not self.prediction.seeds:
            raise ValueError("prediction.seeds: name at least one training seed")
        for name in self.prediction.representations:
            require("prediction.representations", name, self.representations)
        for name in self.prediction.surrogate_heads:
            require("prediction.surrogate_heads", name, self.prediction_heads)
        for name, head in self.prediction_heads.items():
            require(f"prediction_heads.{name}.recipe", head.recipe, self.prediction_recipes)
            key = f"prediction_heads.{name}.marginal.recipe"
            require(key, head.marginal.recipe, self.prediction_recipes)
        sizes: dict[str, int] = {}
        for name, family in self.structure_keys.items():
            if not isinstance(family, TargetOracleKeys):
                sizes |= codebook_sizes(name, family)
        for key in self.decision.keys:
            require("decision.keys", key, sizes)
        oracles = [
            family
            for family in self.structure_keys.values()
            if isinstance(family, TargetOracleKeys)
        ]
        if len(oracles) != 1:
            raise ValueError(
                "structure_keys: exactly one family of kind `target_oracle` gives the floor, "
                f"found {len(oracles)}"
            )
        for key in self.decision.keys:
            if sizes[key] not in oracles[0].codebook_sizes:
                raise ValueError(
                    f"decision.keys: {key} has {sizes[key]} cells, but no target oracle of that "
                    f"size is configured; add {sizes[key]} to its codebook_sizes"
                )
        return self

    @model_validator(mode="after")
    def _check_comparison(self) -> "WorkflowConfig":
        check_sources(self.representations)
        compared, predicted = self.codec_comparison.compared, self.prediction
        check_comparison(
            compared, self.representations, predicted.representations, predicted.lags_frames
        )
        if compared.representations:
            require("prediction.targets", "position", predicted.targets)
        return self


def parse_config(raw: dict[str, Any]) -> WorkflowConfig:
    """Validate the merged configuration.

    Raises:
        InputError: One line per mistake: the key, what is wrong, the allowed values, the nearest
            match.
    """
    require_bounded(raw)
    try:
        text = json.dumps(raw, allow_nan=True)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"configuration: {error}; use plain YAML scalars, lists and maps"
        ) from None
    try:
        return _expanded(WorkflowConfig.model_validate_json(text))
    except ValidationError as error:
        raise InputError("\n".join(explain_all(error.errors(), WorkflowConfig))) from None


def _expanded(config: WorkflowConfig) -> WorkflowConfig:
    """Return the configuration with the rungs of ladders, and calibration worlds as rows."""
    worlds = config.calibration.worlds
    rows = {
        f"{WORLD_PREFIX}{name}": WorldRepresentation(
            kind="world",
            world=name,
            num_train_speakers=worlds.num_train_speakers,
            num_eval_speakers=worlds.num_eval_speakers,
            num_utterances_per_speaker=worlds.num_utterances_per_speaker,
            seed=worlds.seed,
            surrogates=worlds.surrogates,
        )
        for name in worlds.names
    }
    codecs = expand_ladders(config.codecs, config.codec_ladders)
    representations = {**config.representations, **rows}
    return config.model_copy(update={"codecs": codecs, "representations": representations})


def schema_text() -> str:
    """Return the JSON schema of the configuration, as committed in workflow_config.schema.json."""
    return json.dumps(WorkflowConfig.model_json_schema(), indent=1, sort_keys=True) + "\n"
