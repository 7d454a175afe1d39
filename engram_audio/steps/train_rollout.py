"""Train one rollout method and its guard; resumes after a kill with the same bits.

Fails where the method is a refit, which another rule fits.
"""

from functools import partial
from pathlib import Path

import torch
from torch import nn

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.densities.config import PredictionSection
from engram_audio.densities.fit import Material
from engram_audio.errors import InputError
from engram_audio.rollout.fit import build_model, fit_guard, train_method
from engram_audio.rollout.frame import frame_of
from engram_audio.rollout.method_config import AnyMethod, MethodSection
from engram_audio.rollout.simulate import as_steps
from engram_audio.rollout.storage import AnyGuard, pack_method
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
from engram_audio.steps._frames import Frames, open_frames, with_means_so_far
from engram_audio.steps._keys import read_family
from engram_audio.steps._prediction import load_material
from engram_audio.steps._rollout import RolloutFiles, knows_speaker, open_base
from engram_audio.steps._training import TrainingRun
from engram_audio.training.config import TrainingRecipe

History = list[dict[str, float]]


class Files(StepFiles):
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    method_section: Frozen[MethodSection]
    recipe_section: Frozen[TrainingRecipe | None]
    key_file: Path | None
    nulls: Path
    splits: Path
    base_model: Path | None
    memory: Path | None
    shards: list[Path]
    model: Output
    history: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    settings = files.method_section
    device = torch.device(resolve_device(files.device, uses_torch=True))
    frames = open_frames(files.shards, files.splits)
    bases = RolloutFiles(files.base_model, files.memory)
    with (
        TrainingRun(files, files.recipe_section) as run,
        load_material(frames, files.nulls, files.section) as material,
    ):
        base = open_base(settings, bases, material.reference, frame_of(material))
        with blame(files.section_name(settings)):
            model, history = _trained(run, settings, material, base, files.seed, device)
            guard = _guard(files, model, material, frames, device)
        write_jsonl(files.history, history)
        header = {**files.manifest(files.seed), "method": settings.model_dump(mode="json")}
        write_bundle(files.model, pack_method(model, guard), header)


def _trained(
    run: TrainingRun,
    settings: AnyMethod,
    material: Material,
    base: nn.Module | None,
    seed: int,
    device: torch.device,
) -> tuple[nn.Module, History]:
    """Return the trained model and its history."""
    if settings.refit_of is not None:
        raise InputError("train_rollout: a refit is fitted by refit_memory; check the rule")
    if settings.recipe_name is None:
        return build_model(settings, frame_of(material), base, seed), []
    train = partial(train_method, settings, run.recipe, material, base, seed, device)
    model, state = run.train("rollout", train)
    return model, state.history


def _guard(
    files: Files, model: nn.Module, material: Material, frames: Frames, device: torch.device
) -> AnyGuard | None:
    wanted = files.method_section.guard_section
    if wanted is None:
        return None
    name, path = getattr(wanted, "key", None), files.key_file
    key = read_family(path).key(name, 1, str(path)) if name and path else None
    if knows_speaker(model) or (key is not None and key.is_centred):
        block_frames = files.section.block_frames
        reference = with_means_so_far(material.reference, frames, block_frames)
        material = material._replace(reference=reference)
    steps = as_steps(model.to(device).eval())
    return fit_guard(wanted, steps, material, files.seed, device, key)


if __name__ == "__main__":
    run(main)
