"""Studies as Snakemake merges them: the base, with overlays over it."""

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from snakemake.utils import update_config

from engram_audio.config import WorkflowConfig
from engram_audio.frozen_sections import VIEWED
from engram_audio.structure.config import (
    DecisionSection,
    StructureSection,
    calibration_families,
    calibration_structure,
)
from engram_audio.views import ViewedT, compose

ROOT = Path(__file__).resolve().parents[1]
BASE = "workflow_config.yaml"


def load(path: str) -> dict[str, Any]:
    """One YAML file of the repository as plain values."""
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


def study(*names: str) -> dict[str, Any]:
    """The base study with the overlays `studies/<name>.yaml` over it, in this order."""
    return merged(load(BASE), *(load(f"studies/{name}.yaml") for name in names))


def merged(*documents: Mapping[str, Any]) -> dict[str, Any]:
    """Documents merged as `--configfile` merges them: maps are merged, all else is replaced."""
    whole: dict[str, Any] = {}
    for document in documents:
        update_config(whole, copy.deepcopy(dict(document)))
    return whole


def changed(document: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    """A copy of a document with another value at a dotted key; `...` deletes the key."""
    whole = copy.deepcopy(dict(document))
    names = key.split(".")
    owner: Any = whole
    for name in names[:-1]:
        owner = owner[int(name) if isinstance(owner, list) else name]
    place: Any = int(names[-1]) if isinstance(owner, list) else names[-1]
    if value is ...:
        del owner[place]
    else:
        owner[place] = value
    return whole


def section_of(config: WorkflowConfig, model: type[ViewedT]) -> ViewedT:
    """A section with views, as the steps read it."""
    (name,) = (name for name, one in VIEWED.items() if one is model)
    owner: Any = config
    for part in name.split("."):
        owner = getattr(owner, part)
    return compose(model, owner, config.views)


def worlds_structure(config: WorkflowConfig) -> StructureSection:
    """The structure section that calibration worlds run with."""
    decision = section_of(config, DecisionSection)
    return calibration_structure(config.structure, decision, config.views)


def worlds_families(config: WorkflowConfig) -> dict[str, Any]:
    """The key families that calibration worlds run with."""
    keys = config.calibration.worlds.judged_keys()
    return calibration_families(config.structure, config.keys, keys)
