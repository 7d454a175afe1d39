"""Train the parametric models that a memory has to beat: as many parameters, and as much work."""

from functools import partial
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.densities.config import HeadSection, PredictionSection
from engram_audio.densities.fit import events_trained, train_head
from engram_audio.densities.storage import density_spec, pack_density
from engram_audio.memory.config import MemoryControlsSection, MemoryStageSection
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
from engram_audio.steps._matched import matched_heads
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import TrainingRun
from engram_audio.steps._tuned import frozen_setting
from engram_audio.training.config import TrainingRecipe


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
    tuning: Path | None
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
            matched = matched_heads(
                files.memory, files.base_model, files.head_section, files.controls_section,
                material, lag, event, seed,
            )  # fmt: skip
        for label, own in matched.items():
            head, recipe = frozen_setting(files.tuning, label, own.head, run.recipe)
            train = partial(train_head, head, recipe, material, lag, event, seed, device)
            model, base, _ = run.train(label, train)
            spec = density_spec(head, files.section.window_frames)
            packed, header = pack_density(label, model, base, spec)
            arrays |= packed
            size = {"budget": own.budget._asdict(), "misfit": own.misfit}
            headers[label] = {**header, **size}
        write_bundle(files.matched, arrays, {**files.manifest(seed), "models": headers})


if __name__ == "__main__":
    run(main)
