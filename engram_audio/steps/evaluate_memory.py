"""Score one memory and all its controls on val and eval, on the same frames."""

import copy
from typing import Any

import pandas as pd
import torch

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import write_table
from engram_audio.memory.config import LINEAR, MemoryControlsSection, MemoryStageSection
from engram_audio.memory.controls import (
    CONSTANT_GATE,
    KNOCKED_OUT,
    RANDOM_VALUES,
    engram_controls,
    lookup_controls,
)
from engram_audio.memory.evaluation import Bound, Model, Scope, score_datastore, score_models
from engram_audio.memory.fit import build_datastore, mean_gate
from engram_audio.memory.joint import EngramDensity
from engram_audio.memory.matching import memory_budget
from engram_audio.prediction.assess import Stage
from engram_audio.prediction.config import PredictionEvaluationSection, PredictionSection
from engram_audio.prediction.fit import Material
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames, read_nulls
from engram_audio.steps._memory import StoredMemory, candidates, read_memory
from engram_audio.steps._prediction import load_material, open_stage, read_models

PARTS = ("val", "eval")


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "evaluate_memory",
        __doc__,
        inputs=["memory", "matched", "nulls", "splits"],
        optional_inputs=["base_model"],
        input_lists=["shards"],
        optional_lists=["folds"],
        outputs=["scores", "usage", "summary"],
        wildcards=["base", "lag", "seed"],
        uses_device=True,
        argv=argv,
    )  # fmt: skip
    section = arguments.load_section("section", PredictionSection)
    evaluation = arguments.load_section("evaluation_section", PredictionEvaluationSection)
    memory = arguments.load_section("stage_section", MemoryStageSection)
    controls = arguments.load_section("controls_section", MemoryControlsSection)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    lag, seed = int(arguments.lag), int(arguments.seed)
    reference, rungs = read_nulls(arguments.nulls)
    frames = open_frames(arguments.shards, arguments.splits)
    stage = open_stage(frames, reference, section, evaluation, str(device), None)
    scope = Scope(
        frames.part_of, lag, section.window_frames, max(section.lags_frames), reference,
        evaluation, controls.batch_frames, device,
    )  # fmt: skip
    stored = read_memory(arguments.memory, rungs, lag, arguments.base_model, reference)
    for model in stored.models.values():
        model.to(device)
    tables, usages = [], []
    with load_material(frames, arguments.nulls, section) as material:
        models, header = _models(arguments, stored, material, lag, controls, device)
        with _cli.blame(arguments.memory):
            for part in PARTS:
                scores, usage = score_models(models, stage.sources[part], part, scope)
                tables.append(scores)
                usages.append(usage)
            scores, header["kernel"] = _datastore(
                arguments, stored, material, memory, controls, stage, scope
            )
            tables.append(scores)
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
    stored: StoredMemory,
    material: Material,
    memory: MemoryStageSection,
    controls: MemoryControlsSection,
    stage: Stage,
    scope: Scope,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Score the k-NN datastore on the memory's own state and base.

    An Engram memory has no base that was held out of train: its k-NN stands on the linear null on
    which val scores it best.
    """
    own = stored.models["memory"]
    if isinstance(own, EngramDensity):
        key, orders, base = own.engram_trunk.key, own.engram_trunk.engram.hash.orders, LINEAR
    else:
        key, orders, base = own.lookup.key, own.lookup.slots.orders, arguments.base
    bases = candidates(
        base, material, scope.lag_frames, memory.target, memory.num_folds,
        arguments.base_model, arguments.folds or [],
    )  # fmt: skip
    name = stored.header["memories"]["memory"].get("base")
    scored = {}
    for candidate in bases:
        if name in (None, candidate.name):
            store = build_datastore(
                material, scope.lag_frames, key, max(orders), candidate, controls.datastore_frames,
                scope.device,
            )  # fmt: skip
            bound = Bound(
                store, key, candidate.model, own, controls.datastore_neighbors,
                controls.datastore_queries,
            )  # fmt: skip
            scored[candidate.name] = score_datastore(bound, stage.sources, stage.num_targets, scope)
    chosen = min(scored, key=lambda each: scored[each].val_nll_nats)
    return scored[chosen].table, {**scored[chosen].choice._asdict(), "base": chosen}


if __name__ == "__main__":
    _cli.run(main)
