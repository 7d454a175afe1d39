"""Fit a lookup anew on a head that a rollout method has tuned; the folds' tuning is resumable."""

from functools import partial
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.errors import InputError
from engram_audio.memory.config import LookupMemory, MemoryStageSection
from engram_audio.memory.storage import pack_lookup
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.density import ConditionalDensity
from engram_audio.rollout.config import EnergyMethod, KStepMethod, RefitMethod
from engram_audio.rollout.fit import frame_of
from engram_audio.rollout.refit import fit_on_tuned, tune_fold
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._rollout import RolloutFiles, load_method, open_base, read_method
from engram_audio.steps._training import TrainingRun


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "refit_memory",
        __doc__,
        inputs=["tuned_model", "base_model", "nulls", "splits"],
        input_lists=["shards", "folds"],
        outputs=["model", "history"],
        wildcards=["seed"],
        texts=["tensorboard"],
        uses_device=True,
        argv=argv,
    )  # fmt: skip
    section = arguments.load_section("section", PredictionSection)
    stage = arguments.load_section("stage_section", MemoryStageSection)
    settings = load_method(arguments, "method_section")
    tuned_settings = load_method(arguments, "tuned_section")
    memory = arguments.load_section("memory_section", LookupMemory)
    if not isinstance(settings, RefitMethod) or not isinstance(
        tuned_settings, KStepMethod | EnergyMethod
    ):
        raise InputError(
            f"{arguments.section_name('method_section')}: is no refit of a tuned head; "
            "check the rule"
        )
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    seed = int(arguments.seed)
    frames = open_frames(arguments.shards, arguments.splits)
    files, folds = RolloutFiles(arguments.base_model), []
    with TrainingRun(arguments) as run, load_material(frames, arguments.nulls, section) as material:
        reference, frame = material.reference, frame_of(material)
        tuned, _ = read_method(arguments.tuned_model, tuned_settings, files, reference, frame)
        for fold, path in enumerate(arguments.folds):
            head = open_base(tuned_settings, RolloutFiles(path), reference, frame)
            assert head is not None  # a tuned method has a base
            train = partial(
                tune_fold, tuned_settings, run.recipe, material, fold, stage.num_folds, head, seed,
                device,
            )  # fmt: skip
            model, _ = run.train(f"fold-{fold}", train)
            folds.append(_density(model, path))
        density = _density(tuned, arguments.tuned_model)
        with _cli.blame(arguments.section_name("memory_section")):
            fitted = fit_on_tuned(memory, material, density, folds, settings.method, seed, device)
        arrays, header = pack_lookup("memory", fitted)
        found = {"method": settings.model_dump(mode="json"), "memory": header}
        write_jsonl(arguments.history, fitted.tried)
        write_bundle(arguments.model, arrays, {**arguments.manifest(seed), **found})


def _density(model: torch.nn.Module, path: Path) -> ConditionalDensity:
    if not isinstance(model, ConditionalDensity):
        raise InputError(f"{path}: holds no density of the next frame; train it again")
    return model


if __name__ == "__main__":
    _cli.run(main)
