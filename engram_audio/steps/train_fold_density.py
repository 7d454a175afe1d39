"""Train one head without one fold of speakers, for the residuals that a memory stores."""

from functools import partial
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.densities.config import HeadSection, PredictionSection
from engram_audio.densities.fit import events_trained, train_head
from engram_audio.densities.storage import density_spec, pack_density
from engram_audio.memory.config import MemoryStageSection
from engram_audio.memory.folds import fold_material
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
from engram_audio.steps._tuned import HEAD, frozen_setting
from engram_audio.training.config import TrainingRecipe


class Files(StepFiles):
    lag: Wildcard[int]
    seed: Wildcard[int]
    fold: Wildcard[int]
    section: Frozen[PredictionSection]
    memory_section: Frozen[MemoryStageSection]
    head_section: Frozen[HeadSection]
    recipe_section: Frozen[TrainingRecipe]
    nulls: Path
    splits: Path
    shards: list[Path]
    tuning: Path | None
    model: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = torch.device(resolve_device(files.device, uses_torch=True))
    lag, seed, fold = files.lag, files.seed, files.fold
    frames = open_frames(files.shards, files.splits)
    event = events_trained(lag, (files.memory_section.target,))[0]
    head, recipe = frozen_setting(files.tuning, HEAD, files.head_section, files.recipe_section)
    with (
        TrainingRun(files, files.recipe_section) as run,
        load_material(frames, files.nulls, files.section) as material,
    ):
        with blame(files.splits):
            held = fold_material(material, fold, files.memory_section.num_folds, lag, event)
        train = partial(train_head, head, recipe, held, lag, event, seed, device)
        model, base, state = run.train(f"fold-{fold}", train)
        spec = density_spec(head, files.section.window_frames)
        arrays, header = pack_density(event, model, base, spec)
        manifest = {**files.manifest(seed), "models": {event: header}}
        write_bundle(files.model, arrays, {**manifest, "choice_nll": state.best_score})


if __name__ == "__main__":
    run(main)
