"""Train the parametric models that a memory has to beat: as many parameters, and as much work."""

import functools
from functools import partial
from operator import attrgetter
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import AnyHead, HeadSection, PredictionSection
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.fit import (
    Material,
    events_trained,
    own_base,
    train_head,
    untrained_head,
)
from engram_audio.densities.storage import density_spec, pack_density
from engram_audio.memory.config import MemoryControlsSection, MemoryStageSection
from engram_audio.memory.matching import Matched, match_width
from engram_audio.steps._cli import (
    Device,
    Frozen,
    LogFolder,
    Output,
    StepFiles,
    Wildcard,
    blame,
    run,
)
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._memory import read_memory
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import TrainingRun
from engram_audio.training.config import TrainingRecipe

MEASURES = {"matched_parameters": "parameters", "matched_flops": "flops"}


class Files(StepFiles):
    lag: Wildcard[int]
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    stage_section: Frozen[MemoryStageSection]
    controls_section: Frozen[MemoryControlsSection]
    head_section: Frozen[HeadSection]
    recipe_section: Frozen[TrainingRecipe]
    memory: Path
    nulls: Path
    splits: Path
    base_model: Path | None
    shards: list[Path]
    matched: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = torch.device(resolve_device(files.device, uses_torch=True))
    lag, seed = files.lag, files.seed
    frames = open_frames(files.shards, files.splits)
    event = events_trained(lag, (files.stage_section.target,))[0]
    arrays, headers = {}, {}
    with (
        TrainingRun(files, files.recipe_section) as run,
        load_material(frames, files.nulls, files.section) as material,
    ):
        with blame(files.section_name(files.controls_section)):
            matched = _matched(files, material)
        for label, own in matched.items():
            train = partial(train_head, own.head, run.recipe, material, lag, event, seed, device)
            model, base, _ = run.train(label, train)
            spec = density_spec(own.head, files.section.window_frames)
            packed, header = pack_density(label, model, base, spec)
            arrays |= packed
            size = {"budget": own.budget._asdict(), "is_capped": own.is_capped}
            headers[label] = {**header, **size}
        write_bundle(files.matched, arrays, {**files.manifest(seed), "models": headers})


def _matched(files: Files, material: Material) -> dict[str, Matched]:
    """Return the heads that match the memory's parameters and its work."""
    lag, event = files.lag, files.stage_section.target
    stored = read_memory(files.memory, material.rungs, lag, files.base_model, material.reference)
    widest = files.controls_section.maximum_width
    budget = stored.models["memory"].budget()

    @functools.cache  # of all widths
    def base() -> BaseArrays:
        return own_base(files.head_section, material, lag, event, files.seed)

    def build(settings: AnyHead) -> ConditionalDensity:
        return untrained_head(settings, base(), material, lag, event, files.seed)

    return {
        label: match_width(
            files.head_section, build, getattr(budget, measure), attrgetter(measure), widest
        )
        for label, measure in MEASURES.items()
    }


if __name__ == "__main__":
    run(main)
