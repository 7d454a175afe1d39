"""Fit a lookup anew on a head that a rollout method has tuned; the folds' tuning is resumable."""

from functools import partial
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.densities.config import PredictionSection
from engram_audio.memory.config import MemorySection, MemoryStageSection
from engram_audio.memory.names import MEMORY
from engram_audio.rollout.frame import frame_of
from engram_audio.rollout.method_config import MethodSection, RefitMethod
from engram_audio.rollout.refit import fit_on_tuned, tune_fold
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
from engram_audio.steps._rollout import RolloutFiles, density_in, open_base, read_method
from engram_audio.steps._training import TrainingRun
from engram_audio.training.config import TrainingRecipe


class Files(StepFiles):
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    stage_section: Frozen[MemoryStageSection]
    method_section: Frozen[RefitMethod]
    tuned_section: Frozen[MethodSection]
    memory_section: Frozen[MemorySection]
    recipe_section: Frozen[TrainingRecipe]
    tuned_model: Path
    base_model: Path
    key_file: Path
    nulls: Path
    splits: Path
    shards: list[Path]
    folds: list[Path]
    model: Output
    history: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    settings, tuned_settings = files.method_section, files.tuned_section
    device = torch.device(resolve_device(files.device, uses_torch=True))
    frames = open_frames(files.shards, files.splits)
    key = read_family(files.key_file).key(files.memory_section.key, 1, str(files.key_file))
    bases, folds = RolloutFiles(files.base_model), []
    with (
        TrainingRun(files, files.recipe_section) as run,
        load_material(frames, files.nulls, files.section, key.is_centred) as material,
    ):
        reference, frame = material.reference, frame_of(material)
        tuned, _ = read_method(files.tuned_model, tuned_settings, bases, reference, frame)
        for fold, path in enumerate(files.folds):
            head = open_base(tuned_settings, RolloutFiles(path), reference, frame)
            assert head is not None  # a tuned method has a base
            train = partial(
                tune_fold, tuned_settings, run.recipe, material, fold,
                files.stage_section.num_folds, head, files.seed, device,
            )  # fmt: skip
            model, _ = run.train(f"fold-{fold}", train)
            folds.append(density_in(model, path))
        density = density_in(tuned, files.tuned_model)
        with blame(files.section_name(files.memory_section)):
            fitted = fit_on_tuned(
                files.memory_section, key, material, density, folds, settings.method, files.seed,
                device,
            )  # fmt: skip
        module, _ = files.memory_section.behaviour()
        arrays, header = module.pack(MEMORY, fitted)
        section = files.memory_section.model_dump(mode="json")
        found = {"method": settings.model_dump(mode="json"), "settings": section, "memory": header}
        write_jsonl(files.history, header.get("tried", []))
        write_bundle(files.model, arrays, {**files.manifest(files.seed), **found})


if __name__ == "__main__":
    run(main)
