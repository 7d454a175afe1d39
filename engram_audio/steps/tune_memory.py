"""Tune one Engram memory: every point of its recipe's grid, at full length."""

from pathlib import Path

import torch

from engram_audio.densities.config import (
    AnyHead,
    HeadSection,
    PredictionSection,
)
from engram_audio.densities.density import Density
from engram_audio.densities.fit import events_trained
from engram_audio.memory.config import MemorySection, MemoryStageSection
from engram_audio.memory.names import MEMORY
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
from engram_audio.steps._keys import read_family
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
    memory_section: Frozen[MemorySection]
    head_section: Frozen[HeadSection]
    recipe_section: Frozen[TrainingRecipe]
    key_file: Path
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
    section, settings, lag, seed = files.section, files.memory_section, files.lag, files.seed
    frames = open_frames(files.shards, files.splits)
    event = events_trained(lag, (files.stage_section.target,))[0]
    key = read_family(files.key_file).key(settings.key, lag, str(files.key_file))
    module, own = settings.behaviour()
    with (
        TrainingRun(files, files.recipe_section) as trainings,
        load_material(frames, files.nulls, section) as material,
    ):
        judge = open_judge(frames, material.reference, section, lag, device)

        def train(
            head: AnyHead, how: TrainingRecipe, state: TrainingState | None, calls: Callbacks
        ) -> Density:
            trained = module.train_memory(
                own, key, head, how, material, lag, event, seed, device, state, calls
            )
            return trained.model

        with blame(files.section_name(settings)):
            tuned = tune_arm(trainings, MEMORY, files.head_section, train, judge)
        write_tuning(files.tuning, files.scores, files.manifest(seed), {MEMORY: tuned})


if __name__ == "__main__":
    run(main)
