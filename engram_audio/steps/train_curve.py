"""Train and score the nets of a curve of nats against size."""

from functools import partial
from pathlib import Path

import pandas as pd
import torch

from engram_audio.artifacts.json_document import write_json
from engram_audio.artifacts.table import write_table
from engram_audio.densities.config import (
    HeadSection,
    PredictionSection,
)
from engram_audio.densities.fit import events_trained, train_head
from engram_audio.memory.config import MemoryControlsSection, MemoryStageSection
from engram_audio.memory.curve import curve_heads
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
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import TrainingRun
from engram_audio.steps._tuned import frozen_setting
from engram_audio.steps._tuning import open_judge
from engram_audio.training.config import TrainingRecipe


class Files(StepFiles):
    lag: Wildcard[int]
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    stage_section: Frozen[MemoryStageSection]
    controls_section: Frozen[MemoryControlsSection]
    head_section: Frozen[HeadSection]
    recipe_section: Frozen[TrainingRecipe]
    nulls: Path
    splits: Path
    shards: list[Path]
    tuning: Path | None
    sizes: Output
    scores: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = torch.device(resolve_device(files.device, uses_torch=True))
    section, lag, seed = files.section, files.lag, files.seed
    frames = open_frames(files.shards, files.splits)
    event = events_trained(lag, (files.stage_section.target,))[0]
    with blame(files.section_name(files.controls_section)):
        heads = curve_heads(files.head_section, files.controls_section.curve_widths)
    sizes, tables = {}, []
    with (
        TrainingRun(files, files.recipe_section) as own,
        load_material(frames, files.nulls, section) as material,
    ):
        judge = open_judge(frames, material.reference, section, lag, device)
        for label, plain in heads.items():
            head, recipe = frozen_setting(files.tuning, label, plain, own.recipe)
            train = partial(train_head, head, recipe, material, lag, event, seed, device)
            model, _, _ = own.train(label, train)
            sizes[label] = model.budget()._asdict() | {"width": head.trunk.width}
            tables.append(judge(model).assign(model=label))
        write_table(files.scores, pd.concat(tables, ignore_index=True), files.manifest(seed))
        write_json(files.sizes, {**files.manifest(seed), "nets": sizes})


if __name__ == "__main__":
    run(main)
