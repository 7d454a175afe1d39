"""Train one rollout method and its guard; resumes after a kill with the same bits."""

import sys
from pathlib import Path

import torch
from torch import nn

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.errors import InputError
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.fit import Material
from engram_audio.provenance import text_digest
from engram_audio.rollout.config import AnyMethod, OneStepMethod, RefitMethod
from engram_audio.rollout.fit import build_model, fit_guard, frame_of, train_method
from engram_audio.rollout.simulate import as_steps
from engram_audio.rollout.storage import pack_method
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._rollout import RolloutFiles, load_method, open_base
from engram_audio.steps._training import (
    INTERRUPTED_EXIT_CODE,
    Checkpoint,
    StopFlag,
    callbacks,
    keep_freed_memory,
)
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Interrupted

History = list[dict[str, float]]


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "train_rollout",
        __doc__,
        inputs=["nulls", "splits"],
        optional_inputs=["base_model", "memory"],
        input_lists=["shards"],
        outputs=["model", "history"],
        wildcards=["seed"],
        texts=["tensorboard"],
        uses_device=True,
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    settings = load_method(arguments, "method_section")
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    seed = int(arguments.seed)
    frames = open_frames(arguments.shards, arguments.splits)
    material, release = load_material(frames, arguments.nulls, section)
    keep_freed_memory()
    files = RolloutFiles(arguments.base_model, arguments.memory)
    base = open_base(settings, files, material.reference, frame_of(material))
    try:
        model, history, checkpoint = _trained(arguments, settings, material, base, seed, device)
        guard = None
        wanted = getattr(settings, "guard", None)
        if wanted is not None:
            density = as_steps(model.to(device).eval())
            guard = fit_guard(wanted, density, material, seed, device)
    except Interrupted:
        sys.exit(INTERRUPTED_EXIT_CODE)
    except ValueError as error:
        raise InputError(f"{arguments.section_name('method_section')}: {error}") from error
    release()
    write_jsonl(arguments.history, history)
    header = {**arguments.manifest(seed), "method": settings.model_dump(mode="json")}
    write_bundle(arguments.model, pack_method(model, guard), header)
    if checkpoint is not None:
        checkpoint.remove()


def _trained(
    arguments: _cli.Arguments,
    settings: AnyMethod,
    material: Material,
    base: nn.Module | None,
    seed: int,
    device: torch.device,
) -> tuple[nn.Module, History, Checkpoint | None]:
    """Return the trained model, its history and the checkpoint to remove once it is written."""
    if isinstance(settings, RefitMethod):
        raise InputError("train_rollout: a refit is fitted by refit_memory; check the rule")
    if isinstance(settings, OneStepMethod):
        return build_model(settings, frame_of(material), base, seed), [], None
    recipe = arguments.load_section("recipe_section", TrainingRecipe)
    checkpoint = _checkpoint(arguments, seed)
    wired = callbacks(checkpoint, StopFlag(), recipe, "rollout", Path(arguments.tensorboard))
    model, state = train_method(
        settings, recipe, material, base, seed, device, checkpoint.load(), wired
    )
    checkpoint.save(state)
    return model, state.history, checkpoint


def _checkpoint(arguments: _cli.Arguments, seed: int) -> Checkpoint:
    inputs = [arguments.nulls, arguments.splits, *arguments.shards]
    inputs += [path for path in (arguments.base_model, arguments.memory) if path]
    parts = [*arguments.section_texts().values(), *map(file_digest, inputs), str(seed)]
    key = text_digest("\n".join([arguments.frozen.code, *parts]))
    return Checkpoint(arguments.model.parent / ".checkpoint-rollout.safetensors", key)


if __name__ == "__main__":
    _cli.run(main)
