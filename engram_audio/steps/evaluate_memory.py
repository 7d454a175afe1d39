"""Score one memory and all its controls on the same frames of every part but train."""

from pathlib import Path
from typing import Any

import pandas as pd
import torch

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import write_table
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.densities.density import Density
from engram_audio.densities.fit import Material
from engram_audio.densities.scope import Scope
from engram_audio.memory.config import LINEAR, MemoryControlsSection, MemoryStageSection
from engram_audio.memory.evaluation import (
    KnnReference,
    mean_gate,
    score_datastore,
    score_models,
)
from engram_audio.memory.fit import build_datastore
from engram_audio.prediction.assess import Stage
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, Wildcard, blame, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames, read_nulls, with_means_so_far
from engram_audio.steps._memory import StoredMemory, candidates, read_memory
from engram_audio.steps._prediction import held_out, load_material, open_stage, read_models


class Files(StepFiles):
    base: Wildcard[str]
    lag: Wildcard[int]
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    evaluation_section: Frozen[PredictionEvaluationSection]
    stage_section: Frozen[MemoryStageSection]
    controls_section: Frozen[MemoryControlsSection]
    memory: Path
    matched: Path
    nulls: Path
    splits: Path
    base_model: Path | None
    shards: list[Path]
    folds: list[Path]
    scores: Output
    usage: Output
    summary: Output
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    device = torch.device(resolve_device(files.device, uses_torch=True))
    lag, seed = files.lag, files.seed
    reference, linear_nulls = read_nulls(files.nulls)
    frames = open_frames(files.shards, files.splits)
    stored = read_memory(files.memory, linear_nulls, lag, files.base_model, reference)
    if stored.is_centred:
        reference = with_means_so_far(reference, frames, section.block_frames)
    stage = open_stage(frames, reference, section, files.evaluation_section, str(device), None)
    scope = Scope(
        frames.part_of, lag, section.window_frames, max(section.lags_frames), reference,
        files.evaluation_section, files.controls_section.batch_frames, device,
    )  # fmt: skip
    for model in stored.models.values():
        model.to(device)
    tables, usages = [], []
    with load_material(frames, files.nulls, section, stored.is_centred) as material:
        models, header = _models(files, stored, material, lag, files.controls_section, device)
        with blame(files.memory):
            for part, source in held_out(stage).items():
                scores, usage = score_models(models, source, part, scope)
                tables.append(scores)
                usages.append(usage)
            scores, header["kernel"] = _datastore(
                files, stored, material, files.stage_section, files.controls_section, stage, scope
            )
            tables.append(scores)
    manifest = files.manifest(seed)
    write_table(files.scores, pd.concat(tables, ignore_index=True), manifest)
    write_table(files.usage, pd.concat(usages, ignore_index=True), manifest)
    write_json(files.summary, {**manifest, **header})


def _models(
    files: Files,
    stored: StoredMemory,
    material: Material,
    lag: int,
    controls: MemoryControlsSection,
    device: torch.device,
) -> tuple[dict[str, Density], dict[str, Any]]:
    """Return everything that is scored, and what the tables state about it."""
    matched = read_models(files.matched, "models", material.reference)
    _, matched_header = read_bundle(files.matched)
    own = stored.models["memory"]
    models: dict[str, Density] = {**stored.models, **matched}
    models |= stored.controls(
        lambda: mean_gate(own, material.data(material.choice_part, lag), device), controls.seed
    )
    for model in models.values():
        model.to(device).eval()
    entry = stored.header["memories"]["memory"]
    budgets = {"memory": own.budget()._asdict()}
    budgets |= {name: matched_header["models"][name]["budget"] for name in matched}
    header = {
        "kind": stored.settings.kind,
        "base_chosen": entry.get("base", files.base),
        "is_off": bool(entry.get("is_off", False)),
        "tried": entry.get("tried", []),
        "budgets": budgets,
        "misfits": {name: matched_header["models"][name]["misfit"] for name in matched},
    }
    return models, header


def _datastore(
    files: Files,
    stored: StoredMemory,
    material: Material,
    memory: MemoryStageSection,
    controls: MemoryControlsSection,
    stage: Stage,
    scope: Scope,
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Score the k-NN datastore on the memory's own state and base.

    A memory that was trained with its head has no base that was held out of train: its k-NN stands
    on the linear null on which the choice part scores it best.
    """
    own = stored.models["memory"]
    base = LINEAR if stored.settings.is_joint else files.base
    bases = candidates(
        base, material, scope.lag_frames, memory.target, memory.num_folds,
        files.base_model, files.folds,
    )  # fmt: skip
    name = stored.header["memories"]["memory"].get("base")
    scored = {}
    for candidate in bases:
        if name in (None, candidate.name):
            store = build_datastore(
                material, scope.lag_frames, own.key, own.num_states, candidate,
                controls.datastore_frames, scope.device,
            )  # fmt: skip
            bound = KnnReference(
                store, own.key, candidate.model, own, controls.datastore_neighbors,
                controls.datastore_queries,
            )  # fmt: skip
            scored[candidate.name] = score_datastore(
                bound, held_out(stage), stage.num_targets, scope
            )
    chosen = min(scored, key=lambda each: scored[each].choice_nll_nats)
    return scored[chosen].table, {**scored[chosen].choice._asdict(), "base": chosen}


if __name__ == "__main__":
    run(main)
