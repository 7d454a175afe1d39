"""Train one rollout method and its guard; resumes after a kill with the same bits."""

from functools import partial

import torch
from torch import nn

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.errors import InputError
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.fit import Material
from engram_audio.rollout.config import AnyMethod, OneStepMethod, RefitMethod
from engram_audio.rollout.fit import build_model, fit_guard, frame_of, train_method
from engram_audio.rollout.simulate import as_steps
from engram_audio.rollout.storage import AnyGuard, pack_method
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._rollout import RolloutFiles, load_method, open_base
from engram_audio.steps._training import TrainingRun

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
    files = RolloutFiles(arguments.base_model, arguments.memory)
    with TrainingRun(arguments) as run, load_material(frames, arguments.nulls, section) as material:
        base = open_base(settings, files, material.reference, frame_of(material))
        with _cli.blame(arguments.section_name("method_section")):
            model, history = _trained(run, settings, material, base, seed, device)
            guard = _guard(settings, model, material, seed, device)
        write_jsonl(arguments.history, history)
        header = {**arguments.manifest(seed), "method": settings.model_dump(mode="json")}
        write_bundle(arguments.model, pack_method(model, guard), header)


def _trained(
    run: TrainingRun,
    settings: AnyMethod,
    material: Material,
    base: nn.Module | None,
    seed: int,
    device: torch.device,
) -> tuple[nn.Module, History]:
    """Return the trained model and its history."""
    if isinstance(settings, RefitMethod):
        raise InputError("train_rollout: a refit is fitted by refit_memory; check the rule")
    if isinstance(settings, OneStepMethod):
        return build_model(settings, frame_of(material), base, seed), []
    train = partial(train_method, settings, run.recipe, material, base, seed, device)
    model, state = run.train("rollout", train)
    return model, state.history


def _guard(
    settings: AnyMethod, model: nn.Module, material: Material, seed: int, device: torch.device
) -> AnyGuard | None:
    wanted = getattr(settings, "guard", None)
    if wanted is None:
        return None
    return fit_guard(wanted, as_steps(model.to(device).eval()), material, seed, device)


if __name__ == "__main__":
    _cli.run(main)
