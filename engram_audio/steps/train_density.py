"""Train one head at one lag, one model per event; resumes after a kill with the same bits."""

from functools import partial
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.densities.config import HeadSection, PredictionSection
from engram_audio.densities.fit import events_trained, train_head
from engram_audio.densities.storage import density_spec, pack_density
from engram_audio.steps._cli import Device, Frozen, LogFolder, Output, StepFiles, Wildcard, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import TrainingRun
from engram_audio.steps._tuned import HEAD, frozen_setting
from engram_audio.training.config import TrainingRecipe


class Files(StepFiles):
    lag: Wildcard[int]
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    head_section: Frozen[HeadSection]
    recipe_section: Frozen[TrainingRecipe]
    nulls: Path
    splits: Path
    shards: list[Path]
    tuning: Path | None
    model: Output
    history: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = torch.device(resolve_device(files.device, uses_torch=True))
    lag, seed = files.lag, files.seed
    frames = open_frames(files.shards, files.splits)
    arrays, headers, history = {}, {}, []
    head, recipe = frozen_setting(files.tuning, HEAD, files.head_section, files.recipe_section)
    with (
        TrainingRun(files, files.recipe_section) as run,
        load_material(frames, files.nulls, files.section) as material,
    ):
        for event in events_trained(lag, files.section.targets):
            train = partial(train_head, head, recipe, material, lag, event, seed, device)
            model, base, state = run.train(event, train)
            spec = density_spec(head, files.section.window_frames)
            packed, headers[event] = pack_density(event, model, base, spec)
            arrays |= packed
            history += [{"event": event, **record} for record in state.history]
        write_jsonl(files.history, history)
        write_bundle(files.model, arrays, {**files.manifest(seed), "models": headers})


if __name__ == "__main__":
    run(main)
