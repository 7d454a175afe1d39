"""Tune the nets of a curve of nats against size, each by the same grid."""

from pathlib import Path

import torch

from engram_audio.densities.config import (
    AnyHead,
    HeadSection,
    PredictionSection,
)
from engram_audio.densities.density import Density
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
from engram_audio.steps._tuning import open_judge, tune_arm, write_tuning
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState


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
    tuning: Output
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
    with (
        TrainingRun(files, files.recipe_section) as own,
        load_material(frames, files.nulls, section) as material,
    ):
        judge = open_judge(frames, material.reference, section, lag, device)

        def train(
            head: AnyHead, how: TrainingRecipe, state: TrainingState | None, calls: Callbacks
        ) -> Density:
            return train_head(head, how, material, lag, event, seed, device, state, calls)[0]

        tuned = {label: tune_arm(own, label, head, train, judge) for label, head in heads.items()}
        write_tuning(files.tuning, files.scores, files.manifest(seed), tuned)


if __name__ == "__main__":
    run(main)
