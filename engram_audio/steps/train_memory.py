"""Train one memory jointly with its head, and its control with shuffled keys; resumable."""

from functools import partial
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.densities.config import HeadSection, PredictionSection
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
from engram_audio.steps._memory import memory_header
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import TrainingRun
from engram_audio.steps._tuned import frozen_setting
from engram_audio.training.config import TrainingRecipe


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
    tuning: Path | None
    memory: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = torch.device(resolve_device(files.device, uses_torch=True))
    stage, settings = files.stage_section, files.memory_section
    head, recipe = frozen_setting(files.tuning, MEMORY, files.head_section, files.recipe_section)
    lag, seed = files.lag, files.seed
    frames = open_frames(files.shards, files.splits)
    event = events_trained(lag, (stage.target,))[0]
    key = read_family(files.key_file).key(settings.key, lag, str(files.key_file))
    module, own = settings.behaviour()
    arrays, headers = {}, {}
    with (
        TrainingRun(files, files.recipe_section) as run,
        load_material(frames, files.nulls, files.section) as material,
    ):
        for label, is_shuffled in ((MEMORY, False), ("shuffled_keys", True)):
            train = partial(
                module.train_memory, own, key, head, recipe, material, lag, event, seed, device,
                is_shuffled=is_shuffled,
            )  # fmt: skip
            with blame(files.section_name(settings)):
                trained = run.train(label, train)
            packed, headers[label] = module.pack(label, trained)
            arrays |= packed
        header = memory_header(settings, stage.target, headers)
        write_bundle(files.memory, arrays, {**files.manifest(seed), **header})


if __name__ == "__main__":
    run(main)
