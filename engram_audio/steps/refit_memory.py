"""Fit a lookup anew on a head that a rollout method has tuned; the folds' tuning is resumable."""

from functools import partial
from operator import itemgetter
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.errors import InputError
from engram_audio.memory.config import LookupMemory, MemoryStageSection
from engram_audio.memory.storage import pack_lookup
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.density import ConditionalDensity
from engram_audio.provenance import text_digest
from engram_audio.rollout.config import EnergyMethod, KStepMethod, RefitMethod
from engram_audio.rollout.fit import frame_of
from engram_audio.rollout.refit import fit_on_tuned, tune_fold
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._rollout import RolloutFiles, load_method, open_base, read_method
from engram_audio.steps._training import Checkpoint, StopFlag, keep_freed_memory, run_resumable
from engram_audio.training.config import TrainingRecipe


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
    recipe = arguments.load_section("recipe_section", TrainingRecipe)
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
    material, release = load_material(frames, arguments.nulls, section)
    reference, frame = material.reference, frame_of(material)
    files = RolloutFiles(arguments.base_model)
    tuned, _ = read_method(arguments.tuned_model, tuned_settings, files, reference, frame)
    keep_freed_memory()
    stop = StopFlag()
    folds, checkpoints = [], []
    for fold, path in enumerate(arguments.folds):
        head = open_base(tuned_settings, RolloutFiles(path), reference, frame)
        assert head is not None  # a tuned method has a base
        checkpoint = _checkpoint(arguments, fold)
        checkpoints.append(checkpoint)
        model, _ = run_resumable(
            checkpoint, stop, recipe, f"fold-{fold}", Path(arguments.tensorboard),
            partial(
                tune_fold, tuned_settings, recipe, material, fold, stage.num_folds, head, seed,
                device,
            ),
            itemgetter(1),
        )  # fmt: skip
        folds.append(_density(model, path))
    try:
        fitted = fit_on_tuned(
            memory, material, _density(tuned, arguments.tuned_model), folds, settings.method, seed,
            device,
        )  # fmt: skip
    except ValueError as error:
        raise InputError(f"{arguments.section_name('memory_section')}: {error}") from error
    release()
    arrays, header = pack_lookup("memory", fitted)
    write_jsonl(arguments.history, fitted.tried)
    write_bundle(
        arguments.model,
        arrays,
        {**arguments.manifest(seed), "method": settings.model_dump(mode="json"), "memory": header},
    )
    for checkpoint in checkpoints:
        checkpoint.remove()


def _density(model: torch.nn.Module, path: Path) -> ConditionalDensity:
    if not isinstance(model, ConditionalDensity):
        raise InputError(f"{path}: holds no density of the next frame; train it again")
    return model


def _checkpoint(arguments: _cli.Arguments, fold: int) -> Checkpoint:
    inputs = [arguments.tuned_model, arguments.nulls, arguments.splits, *arguments.shards]
    inputs += arguments.folds
    parts = [
        *arguments.section_texts().values(),
        *map(file_digest, inputs),
        arguments.seed,
        str(fold),
    ]
    key = text_digest("\n".join([arguments.frozen.code, *parts]))
    return Checkpoint(arguments.model.parent / f".checkpoint-fold-{fold}.safetensors", key)


if __name__ == "__main__":
    _cli.run(main)
