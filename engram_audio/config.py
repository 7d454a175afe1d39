"""The whole configuration: composes the stages' settings, and keeps of them what is used.

Only the Snakefile, the schema writer and tests import this module; a step imports its own section.
"""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import Field, ValidationError

from engram_audio.calibration.config import WORLD_PREFIX, CalibrationSection, world_rows
from engram_audio.calibration.names import WORLD_NAMES
from engram_audio.choices import require
from engram_audio.codecs.config import CodecsSettings, check_codecs
from engram_audio.codecs.ladder import named_codecs
from engram_audio.comparison.config import ComparisonSettings, check_comparison
from engram_audio.config_bounds import require_bounded
from engram_audio.config_messages import explain_all
from engram_audio.config_moved import refuse_moved
from engram_audio.config_overlay import REMOVE, with_paths, without_removed
from engram_audio.corpus.config import CorpusSection, SplitsSection
from engram_audio.corpus_checks import check_roots, check_speakers
from engram_audio.errors import InputError
from engram_audio.factorizer.config import FactorizerSettings, check_factorizer, check_states
from engram_audio.factorizer.sweep import used_factorizers
from engram_audio.generation.config import (
    GenerationSettings,
    check_audio,
    check_generation,
)
from engram_audio.generation.factorized.checks import check_factorized
from engram_audio.keys.config import KeysSettings, family_of
from engram_audio.keys.law_config import (
    LawSettings,
    check_laws,
    check_recipes,
    recipes_of_laws,
)
from engram_audio.latents.config import (
    RepresentationsSettings,
    check_rows,
    used_rows,
)
from engram_audio.memory.config import MemorySettings, check_memory
from engram_audio.prediction.config import PredictionSettings, check_prediction
from engram_audio.quantities import Name, Text
from engram_audio.report.config import ReportSection
from engram_audio.rollout.checks import check_rollout
from engram_audio.rollout.config import RolloutSettings
from engram_audio.rollout.sweep import used_methods
from engram_audio.section import Section
from engram_audio.stats.config import StatisticsSection
from engram_audio.structure.config import (
    DecisionValues,
    StructureSettings,
    check_decision,
    check_keys,
)
from engram_audio.training.config import TrainingRecipe, check_recipe
from engram_audio.views import ViewsSection


class PathvarsSection(Section):
    """Where outputs go (Snakemake pathvars)."""

    results: Text = Field(default="results", description="Folder of results.")
    logs: Text = Field(default="logs", description="Folder of logs.")
    benchmarks: Text = Field(default="benchmarks", description="Folder of benchmarks.")


class WorkflowConfig(Section):
    """The experiment. Libraries define, lists choose: what no list names is not run."""

    pathvars: PathvarsSection = PathvarsSection()
    path: Text | None = Field(
        default=None, description="Folder of your arrays, where a representation names none."
    )
    table: Text | None = Field(
        default=None, description="Table of your arrays, where a representation names none."
    )
    views: ViewsSection
    recipes: dict[Name, TrainingRecipe] = Field(
        description="Training recipes that heads, factorisers, memories and methods name."
    )
    corpora: dict[Name, CorpusSection] = Field(
        description="Audio by name; a corpus is read where a representation or codec names it."
    )
    splits: SplitsSection
    codecs: CodecsSettings
    representations: RepresentationsSettings
    keys: KeysSettings
    learned_keys: LawSettings
    structure: StructureSettings
    prediction: PredictionSettings
    factorizer: FactorizerSettings
    memory: MemorySettings
    comparison: ComparisonSettings
    rollout: RolloutSettings
    generation: GenerationSettings
    statistics: StatisticsSection
    decision: DecisionValues
    calibration: CalibrationSection
    report: ReportSection


def parse_config(raw: Any) -> WorkflowConfig:
    """Validate the merged configuration and keep what is used.

    Returns:
        The configuration, its libraries cut to what the lists name and to what that needs.

    Raises:
        InputError: One line per mistake: the key, what is wrong, the allowed values, the nearest
            match.
    """
    require_bounded(raw)
    if not isinstance(raw, dict):
        raise InputError(f"configuration: should be a map of keys, found {raw!r}")
    refuse_moved(raw)
    raw = with_paths(without_removed(raw, WorkflowConfig))
    try:
        text = json.dumps(raw, allow_nan=True)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"configuration: {error}; use plain YAML scalars, lists and maps"
        ) from None
    try:
        config = WorkflowConfig.model_validate_json(text)
    except ValidationError as error:
        raise InputError("\n".join(explain_all(error.errors(), WorkflowConfig))) from None
    try:
        return used_part(config)
    except ValueError as error:
        raise InputError(str(error)) from None


def used_part(config: WorkflowConfig) -> WorkflowConfig:
    """Return the configuration without definitions that nothing uses, after checking the rest.

    Raises:
        ValueError: Names the key, what is wrong and what is allowed.
    """
    used, settings = _with_used_sources(config), config.representations
    stages = {
        "structure": config.structure.used(config.keys),
        "prediction": config.prediction.used(),
        "factorizer": used_factorizers(config.factorizer),
        "memory": config.memory.used(),
        "comparison": config.comparison.used(settings.library),
        "rollout": used_methods(config.rollout),
        "generation": config.generation.used(),
    }
    used = used.model_copy(update=stages)
    _check_stages(used)
    used = used.model_copy(update={"keys": config.keys.used(key_families(used))})
    recipes = {name: row for name, row in config.recipes.items() if name in recipes_named(used)}
    _check_tuned(recipes, recipes_tuned(used))
    return used.model_copy(update={"recipes": recipes})


def key_families(config: WorkflowConfig) -> set[str]:
    """Return the names of the key families that something uses."""
    memories = [family_of(row.key) for row in config.memory.library.values()]
    guards = [row.guard_key for row in config.rollout.library.values()]
    keys = [key for key in guards if key is not None]
    generated = [family_of(row.insertion.key) for row in config.generation.library.values()]
    own = [*keys, *config.learned_keys.scored]
    return {*config.structure.families, *memories, *generated, *map(family_of, own)}


def key_lags(config: WorkflowConfig) -> set[int]:
    """Return the lags at which some stage reads keys; what runs free does at lag 1."""
    own = config.memory.lags_frames if config.memory.library else ()
    laws = config.learned_keys.lags_frames if config.learned_keys.scored else ()
    free = (1,) if config.rollout.library or config.generation.library else ()
    return {*config.structure.lags_frames, *own, *laws, *free}


def recipes_named(config: WorkflowConfig) -> set[str]:
    """Return the names of the training recipes that something uses."""
    heads, memory = config.prediction.library.values(), config.memory
    rows = [*heads, *(head.marginal for head in heads), *config.factorizer.library.values()]
    rows += [*memory.library.values(), *config.rollout.library.values()]
    rows += [memory.controls] if memory.representations else []
    rows += [*config.generation.library.values()]
    laws = recipes_of_laws(config.learned_keys, config.keys.library)
    return {*laws, *(row.recipe for row in rows if hasattr(row, "recipe"))}


def recipes_tuned(config: WorkflowConfig) -> set[str]:
    """Return the names of the recipes whose `tuning` something tries."""
    memory = config.memory
    rows = [*config.prediction.library.values(), *memory.library.values()]
    rows += [memory.controls] if memory.representations else []
    return {row.recipe for row in rows if hasattr(row, "recipe")}


def _check_tuned(recipes: Mapping[str, TrainingRecipe], tuned: set[str]) -> None:
    """Refuse points that nothing tries."""
    for name, recipe in recipes.items():
        if recipe.tuning is not None and name not in tuned:
            raise ValueError(
                f"recipes.{name}.tuning: only heads, Engram memories and matched nets are tuned, "
                "and none of them names this recipe; set it to null"
            )


def _with_used_sources(config: WorkflowConfig) -> WorkflowConfig:
    """Keep the representations that are used, and add calibration worlds and members of ladders."""
    settings, worlds = config.representations, config.calibration.worlds
    for name in worlds.names:
        require("calibration.worlds.names", name, WORLD_NAMES)
    for name in worlds.laws:
        require("calibration.worlds.laws", name, WORLD_NAMES)
    for where, names in (
        ("corpora", config.corpora),
        ("representations.library", settings.library),
    ):
        for name in names:
            if name.startswith(WORLD_PREFIX):
                raise ValueError(
                    f"{where}.{name}: names that begin with {WORLD_PREFIX!r} belong to "
                    "calibration.worlds; rename it"
                )
    rows = {**used_rows(settings.analysed, settings.library), **world_rows(worlds)}
    used = {row.made_by[1] for row in rows.values() if row.made_by}
    codecs = named_codecs(config.codecs, used)
    check_rows(rows, config.corpora, codecs, WORLD_NAMES)
    changes = {
        "codecs": config.codecs.model_copy(update={"library": codecs, "ladders": {}}),
        "representations": settings.model_copy(update={"library": rows}),
    }
    return config.model_copy(update=changes)


def _check_stages(config: WorkflowConfig) -> None:
    """Check what lies between stages, the earliest first."""
    analysed, recipes = config.representations.analysed, config.recipes
    rows, prediction = config.representations.library, config.prediction
    window = config.views.window_frames
    codecs = {name: config.codecs.library[name] for name in used_codecs(config)}
    check_codecs(codecs, config.corpora, config.splits.seeds)
    check_roots(config.corpora, used_corpora(config))
    check_speakers(rows, config.corpora, config.splits, _folds(config))
    check_decision(config.decision, config.structure, config.keys, analysed)
    keys = config.calibration.worlds.judged_keys()
    check_keys("calibration.worlds.keys", keys, config.structure, config.keys)
    check_prediction(prediction, analysed, window, recipes)
    check_factorizer(config.factorizer, prediction, recipes)
    check_states(rows, config.factorizer)
    check_comparison(config.comparison, rows, prediction)
    library = config.keys.library
    check_laws(config.learned_keys, library, analysed, rows)
    check_recipes(config.learned_keys, key_families(config), library, recipes)
    check_memory(config.memory, prediction, library, window, recipes)
    check_rollout(config.rollout, prediction, config.memory, library, window, recipes)
    worlds = config.calibration.worlds.names
    check_generation(config.generation, prediction, worlds, library, window, recipes)
    check_audio(config.generation, rows)
    check_factorized(config.generation, rows, config.factorizer.library)
    for name in recipes_named(config) & set(recipes):
        check_recipe(f"recipes.{name}", recipes[name])


def _folds(config: WorkflowConfig) -> dict[str, dict[str, int]]:
    """Return the folds of train speakers that each representation is cut into, by setting."""
    laws = config.learned_keys
    named = {
        "memory.num_folds": (config.memory.representations, config.memory.num_folds),
        "learned_keys.num_folds": (
            laws.representations if "linear" in laws.bases else (), laws.num_folds,
        ),
    }  # fmt: skip
    found: dict[str, dict[str, int]] = {}
    for key, (names, count) in named.items():
        for name in names:
            found.setdefault(name, {})[key] = count
    return found


def used_codecs(config: WorkflowConfig) -> list[str]:
    """Return the codecs that a used representation names."""
    rows = config.representations.library.values()
    return list(dict.fromkeys(row.made_by[1] for row in rows if row.made_by))


def used_corpora(config: WorkflowConfig) -> list[str]:
    """Return the corpora that a used representation or codec is made of."""
    rows = config.representations.library.values()
    codecs = [config.codecs.library[name] for name in used_codecs(config)]
    names = [row.made_by[0] for row in rows if row.made_by]
    names += [codec.fitted_on[0] for codec in codecs if codec.fitted_on]
    return list(dict.fromkeys(names))


def schema_text() -> str:
    """Return the JSON schema of the configuration, as committed in workflow_config.schema.json."""
    schema = WorkflowConfig.model_json_schema()
    for part in (schema, *schema["$defs"].values()):
        for field in part.get("properties", {}).values():
            if "propertyNames" in field:  # a library
                field["properties"] = {REMOVE: {"type": "array", "items": {"type": "string"}}}
    return json.dumps(schema, indent=1, sort_keys=True) + "\n"
