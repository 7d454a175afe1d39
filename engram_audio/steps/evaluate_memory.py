"""Score one memory and all its controls on val and eval, on the same frames."""

import copy
from typing import Any

import pandas as pd
import torch

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import write_table
from engram_audio.errors import InputError
from engram_audio.memory.config import MemoryControlsSection, MemoryStageSection
from engram_audio.memory.controls import (
    CONSTANT_GATE,
    KNOCKED_OUT,
    RANDOM_VALUES,
    engram_controls,
    lookup_controls,
)
from engram_audio.memory.density import MemoryDensity
from engram_audio.memory.evaluation import Bound, Model, Scope, score_datastore, score_models
from engram_audio.memory.fit import build_datastore, mean_gate
from engram_audio.memory.joint import EngramDensity
from engram_audio.memory.matching import memory_budget
from engram_audio.prediction.assess import Stage
from engram_audio.prediction.config import PredictionEvaluationSection, PredictionSection
from engram_audio.prediction.fit import Material
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._memory import StoredMemory, candidates, read_memory
from engram_audio.steps._prediction import (
    load_material,
    open_frames,
    open_stage,
    read_models,
    read_nulls,
)

PARTS = ("val", "eval")


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "evaluate_memory",
        __doc__,
        inputs=[
            "section", "evaluation_section", "stage_section", "controls_section", "memory",
            "matched", "nulls", "splits",
        ],
        optional_inputs=["base_model"],
        input_lists=["shards"],
        optional_lists=["folds"],
        outputs=["scores", "usage", "summary"],
        wildcards=["base", "lag", "seed"],
        uses_device=True,
        argv=argv,
    )  # fmt: skip
    section = arguments.load_section(arguments.section, PredictionSection)
    evaluation = arguments.load_section(arguments.evaluation_section, PredictionEvaluationSection)
    memory = arguments.load_section(arguments.stage_section, MemoryStageSection)
    controls = arguments.load_section(arguments.controls_section, MemoryControlsSection)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    lag, seed = int(arguments.lag), int(arguments.seed)
    reference, rungs = read_nulls(arguments.nulls)
    frames = open_frames(arguments.shards, arguments.splits)
    stage = open_stage(frames, reference, section, evaluation, str(device), None)
    material, release = load_material(frames, arguments.nulls, section)
    scope = Scope(
        frames.part_of, lag, section.window_frames, max(section.lags_frames), reference,
        evaluation, controls.batch_frames, device,
    )  # fmt: skip
    stored = read_memory(arguments.memory, rungs, lag, arguments.base_model, reference)
    for model in stored.models.values():
        model.to(device)
    models, header = _models(arguments, stored, material, lag, controls, device)
    tables, usages = [], []
    own = stored.models["memory"]
    try:
        for part in PARTS:
            scores, usage = score_models(models, stage.sources[part], part, scope)
            tables.append(scores)
            usages.append(usage)
        if isinstance(own, MemoryDensity):
            scores, header["kernel"] = _datastore(
                arguments, own, stored, material, memory, controls, stage, scope
            )
            tables.append(scores)
    except ValueError as error:
        raise InputError(f"{arguments.memory}: {error}") from error
    release()
    manifest = arguments.manifest(seed)
    write_table(arguments.scores, pd.concat(tables, ignore_index=True), manifest)
    write_table(arguments.usage, pd.concat(usages, ignore_index=True), manifest)
    write_json(arguments.summary, {**manifest, **header})


def _models(
    arguments: _cli.Arguments,
    stored: StoredMemory,
    material: Material,
    lag: int,
    controls: MemoryControlsSection,
    device: torch.device,
) -> tuple[dict[str, Model], dict[str, Any]]:
    """Return everything that is scored, and what the tables state about it."""
    matched = read_models(arguments.matched, "models", material.reference)
    _, matched_header = read_bundle(arguments.matched)
    own = stored.models["memory"]
    models: dict[str, Model] = {**stored.models, **matched}
    if isinstance(own, EngramDensity):
        gate = mean_gate(own, material.data("val", lag), device)
        names = (KNOCKED_OUT, CONSTANT_GATE, RANDOM_VALUES)
        copies = {name: copy.deepcopy(own) for name in names}
        models |= engram_controls(copies, gate, controls.seed)
    else:
        models |= lookup_controls(own, stored.counts["memory"], controls.seed)
    for model in models.values():
        model.to(device).eval()
    entry = stored.header["memories"]["memory"]
    budgets = {"memory": memory_budget(own)._asdict()}
    budgets |= {name: matched_header["models"][name]["budget"] for name in matched}
    header = {
        "kind": stored.kind,
        "base_chosen": entry.get("base", arguments.base),
        "is_off": bool(entry.get("is_off", False)),
        "tried": entry.get("tried", []),
        "budgets": budgets,
        "capped": {name: matched_header["models"][name]["is_capped"] for name in matched},
    }
    return models, header


def _datastore(
    arguments: _cli.Arguments,
    own: MemoryDensity,
    stored: StoredMemory,
    material: Material,
    memory: MemoryStageSection,
    controls: MemoryControlsSection,
    stage: Stage,
    scope: Scope,
) -> tuple[pd.DataFrame, dict[str, float]]:
    """Score the k-NN datastore on the memory's own base and state."""
    bases = candidates(
        arguments.base, material, scope.lag_frames, memory.target, memory.num_folds,
        arguments.base_model, arguments.folds or [],
    )  # fmt: skip
    name = stored.header["memories"]["memory"]["base"]
    chosen = next(candidate for candidate in bases if candidate.name == name)
    num_states = max(own.lookup.slots.orders)
    store = build_datastore(
        material, scope.lag_frames, own.lookup.key, num_states, chosen, controls.datastore_frames,
        scope.device,
    )  # fmt: skip
    bound = Bound(
        store, own.lookup.key, own.base, controls.datastore_neighbors, controls.datastore_queries
    )
    scores, choice = score_datastore(bound, stage.sources, stage.num_targets, scope)
    return scores, choice._asdict()


if __name__ == "__main__":
    _cli.run(main)
