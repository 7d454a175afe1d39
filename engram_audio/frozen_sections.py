"""Every section of a configuration that a step may read, by its dotted key.

A step's section holds its stage's own values and the views among them, and no library: one more
head reruns no other head.
"""

from collections.abc import Mapping
from typing import Any

from engram_audio.config import WorkflowConfig
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.keys.config import KeysSection
from engram_audio.keys.law_config import LawSection
from engram_audio.kinds import Kind
from engram_audio.memory.config import MemoryStageSection
from engram_audio.rollout.config import RolloutSection
from engram_audio.section import Section
from engram_audio.structure.config import (
    DecisionSection,
    StructureSection,
    calibration_families,
    calibration_structure,
)
from engram_audio.views import Viewed, compose, viewed_names

VIEWED: Mapping[str, type[Viewed]] = {
    "keys": KeysSection,
    "learned_keys": LawSection,
    "structure": StructureSection,
    "prediction": PredictionSection,
    "prediction.evaluation": PredictionEvaluationSection,
    "rollout": RolloutSection,
    "decision": DecisionSection,
}  # sections with views among their values
PLAIN = (
    "views", "splits", "representations.extraction", "representations.surrogates",
    "learned_keys.bank", "learned_keys.predictor", "learned_keys.verdict",
    "prediction.nulls", "prediction.ridge_mixture", "factorizer.health", "factorizer.evaluation",
    "memory.controls",
    "memory.verdict", "comparison.reconstruction", "rollout.bars", "generation.evaluation",
    "generation.bars", "generation.probes",
    "statistics", "calibration.worlds", "calibration.power", "calibration.sabotage", "report",
)  # fmt: skip
LIBRARIES = (
    "corpora", "codecs.library", "representations.library", "keys.library",
    "structure.library", "prediction.library", "recipes", "factorizer.library",
    "factorizer.grids", "memory.library", "rollout.library", "rollout.grids",
    "generation.library",
)  # fmt: skip


def configured_sections(config: WorkflowConfig) -> dict[str, Any]:
    """Return the plain values of every section that the configuration holds, by dotted key."""
    found: dict[str, Section] = {name: _at(config, name) for name in PLAIN}
    for name, model in VIEWED.items():
        found[name] = compose(model, _at(config, name), config.views)
    stage = config.memory
    found["memory"] = MemoryStageSection(target=stage.target, num_folds=stage.num_folds)
    found["comparison"] = config.comparison.compared
    found["generation"] = config.generation.protocol
    found["generation.audio"] = config.generation.audio.scores
    found["generation.factorized"] = config.generation.factorized.scores
    for where in LIBRARIES:
        found |= {f"{where}.{name}": row for name, row in _at(config, where).items()}
    return {name: section.model_dump(mode="json") for name, section in found.items()}


def derived_sections(config: WorkflowConfig) -> dict[str, Any]:
    """Return the sections that follow from others: what calibration worlds run with."""
    decision = compose(DecisionSection, config.decision, config.views)
    structure = calibration_structure(config.structure, decision, config.views)
    keys = config.calibration.worlds.judged_keys()
    families = calibration_families(config.structure, config.keys, keys)
    laws = compose(LawSection, config.learned_keys, config.views).model_copy(
        update={
            "slices": decision.slices, "lags_frames": (decision.lag_frames,), "oracle_sizes": (),
            "direction_keys": (),
        }
    )  # fmt: skip
    sections: dict[str, Section] = {"calibration.structure": structure, "calibration.laws": laws}
    found = sections | {f"calibration.families.{name}": family for name, family in families.items()}
    return {name: section.model_dump(mode="json") for name, section in found.items()}


def kind_of(config: WorkflowConfig, name: str) -> Kind:
    """Return a section of a library whose kinds are registered, by dotted key."""
    where, _, row = name.rpartition(".")
    return _at(config, where)[row]


def key_of(section: str, field: str) -> str:
    """Return the configuration key behind a field of a section: of the views, or its own."""
    model = VIEWED.get(section.removeprefix("calibration."))  # worlds run with parts of both
    view = viewed_names(model).get(field) if model else None
    return f"views.{view}" if view else f"{section}.{field}"


def _at(config: WorkflowConfig, name: str) -> Any:
    found: Any = config
    for part in name.split("."):
        found = getattr(found, part)
    return found
