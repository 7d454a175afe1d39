"""The whole configuration: composes the sections, checks what lies between them.

Only the Snakefile, the schema writer and tests import this module; a step imports its own section.
"""

import json
import typing
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError, computed_field, model_validator

from engram_audio.calibration.config import WORLD_PREFIX, CalibrationSection
from engram_audio.calibration.names import WORLD_NAMES
from engram_audio.codecs.config import CodecSection, MelPcaCodecSettings
from engram_audio.config_checks import choices, require, require_bounded
from engram_audio.config_rollout import RolloutSections
from engram_audio.corpus.config import CorpusSection, SplitsSection
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
from engram_audio.prediction.config import (
    HeadSection,
    PredictionEvaluationSection,
    PredictionNullsSection,
    PredictionSection,
)
from engram_audio.provenance import canonical_json
from engram_audio.report.config import ReportSection
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
    @property
    def factorizer_runs(self) -> dict[str, FactorizerSection]:
        """Every factoriser that is trained: the variants and the points of the sweeps."""
        return expand_all(self.factorizer_variants, self.factorizer_sweeps)

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
        if not self.splits.seeds:
            raise ValueError("splits.seeds: name at least one split seed")
        for name, row in self.representations.items():
            if isinstance(row, CodecRepresentation):
                require(f"representations.{name}.corpus", row.corpus, self.corpora)
                require(f"representations.{name}.codec", row.codec, self.codecs)
            elif name in self.corpora:
                raise ValueError(
                    f"representations.{name}: brings its own utterances, so it must not share its "
                    "name with a corpus; rename one of them"
                )
            if isinstance(row, WorldRepresentation):
                require(f"representations.{name}.world", row.world, WORLD_NAMES)
        for name, codec in self.codecs.items():
            if isinstance(codec, MelPcaCodecSettings):
                require(f"codecs.{name}.corpus", codec.corpus, self.corpora)
                require(f"codecs.{name}.split_seed", codec.split_seed, self.splits.seeds)
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
        return _with_worlds(WorkflowConfig.model_validate_json(text))
    except ValidationError as error:
        errors = error.errors()
        raise InputError(
            "\n".join(explain(item) for item in errors if not _echoes(item, errors))
        ) from None


def _with_worlds(config: WorkflowConfig) -> WorkflowConfig:
    """Return the configuration with a representation for each calibration world."""
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
    return config.model_copy(update={"representations": {**config.representations, **rows}})


def explain(item: Any) -> str:
    """Return one line for one pydantic error: the key, what is wrong, what is allowed."""
    location = item["loc"]
    names = [str(part) for place, part in enumerate(location) if not _is_tag(location, place)]
    key = ".".join(names) or "configuration"
    kind, value, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        owner = model_at(WorkflowConfig, location[:-1])
        fields = list(owner.model_fields) if owner else []
        return f"{key}: unknown key; allowed: {choices(location[-1], fields)}"
    if kind in ("missing", "union_tag_not_found"):
        suffix = ".kind" if kind == "union_tag_not_found" else ""
        return f"{key}{suffix}: this key is required and missing"
    if kind == "value_error":
        message = str(context.get("error", item["msg"]))
        return f"{key}: {message}" if names else message
    if kind == "literal_error":
        return f"{key}: {value!r} is not one of {choices(value, _quoted(context['expected']))}"
    if kind == "union_tag_invalid":
        tag = value.get("kind")
        return (
            f"{key}.kind: {tag!r} is not one of {choices(tag, _quoted(context['expected_tags']))}"
        )
    problem = item["msg"].replace("Input should be a valid", "should be a(n)")
    problem = problem.replace("Input should", "should").replace("Tuple should", "the list should")
    found = "" if isinstance(value, dict | list) else f", found {value!r}"
    quoted = " (a number in quotes or without a decimal point before `e` is text in YAML)"
    hint = quoted if isinstance(value, str) and kind in ("int_type", "float_type") else ""
    return f"{key}: {problem}{found}{hint}"


def _echoes(item: Any, errors: list[Any]) -> bool:
    """Whether an error only follows from one deeper inside (a list is short of its bad element)."""
    location = item["loc"]
    return any(
        len(other["loc"]) > len(location) and other["loc"][: len(location)] == location
        for other in errors
    )


def _quoted(expected: str) -> list[str]:
    return [part.strip().strip("'") for part in expected.replace(" or ", ",").split(",")]


def _is_tag(location: tuple[Any, ...], place: int) -> bool:
    """Whether a part of an error location names a member of a tagged union, not a key."""
    owner = model_at(WorkflowConfig, location[: place + 1])
    field = owner.model_fields.get("kind") if owner else None
    return (
        field is not None
        and location[place] in typing.get_args(field.annotation)
        and model_at(WorkflowConfig, location[:place]) is None
    )


def model_at(model: type[Section], location: Iterable[Any]) -> type[Section] | None:
    """Follow a pydantic error location to the model it ends in, or None."""
    current: Any = model
    for part in location:
        current = _descend(current, part)
        if current is None:
            return None
    return current if isinstance(current, type) and issubclass(current, Section) else None


def _descend(annotation: Any, part: object) -> Any:
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _descend(typing.get_args(annotation)[0], part)
    if isinstance(annotation, type) and issubclass(annotation, Section):
        field = annotation.model_fields.get(str(part))
        if field is not None:
            return field.annotation
        kind = annotation.model_fields.get("kind")
        is_tag = kind is not None and part in typing.get_args(kind.annotation)
        return annotation if is_tag else None
    arguments = typing.get_args(annotation)
    if origin is dict:
        return arguments[1]
    if origin is tuple:
        return arguments[0]
    for option in arguments:  # a union: the part is the tag
        found = _descend(option, part)
        if found is not None:
            return found
    return None


def section_text(config: WorkflowConfig, section: str) -> str:
    """Return the canonical JSON of a section by dotted name, for example `codecs.mimi`.

    Raises:
        InputError: There is no such section.
    """
    current: Any = config.model_dump(mode="json")
    for part in section.split("."):
        if not isinstance(current, dict) or part not in current:
            raise InputError(f"{section}: no such configuration section")
        current = current[part]
    return canonical_json(current)


def schema_text() -> str:
    """Return the JSON schema of the configuration, as committed in workflow_config.schema.json."""
    return json.dumps(WorkflowConfig.model_json_schema(), indent=1, sort_keys=True) + "\n"
