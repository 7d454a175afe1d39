"""Train one head without one fold of speakers, for the residuals that a memory stores."""

from functools import partial
from operator import itemgetter
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.digest import file_digest
from engram_audio.errors import InputError
from engram_audio.memory.config import MemoryStageSection
from engram_audio.memory.folds import fold_material
from engram_audio.prediction.config import PredictionSection, head_model
from engram_audio.prediction.fit import events_trained, train_head
from engram_audio.prediction.storage import density_spec, pack_density
from engram_audio.provenance import text_digest
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import Checkpoint, StopFlag, keep_freed_memory, run_resumable
from engram_audio.training.config import TrainingRecipe


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "train_fold_density",
        __doc__,
        inputs=["nulls", "splits"],
        input_lists=["shards"],
        outputs=["model"],
        wildcards=["lag", "seed", "fold"],
        texts=["tensorboard"],
        uses_device=True,
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    memory = arguments.load_section("memory_section", MemoryStageSection)
    model_class = head_model(
        arguments.section_text("head_section"), arguments.section_name("head_section")
    )
    settings = arguments.load_section("head_section", model_class)
    recipe = arguments.load_section("recipe_section", TrainingRecipe)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    lag, seed, fold = int(arguments.lag), int(arguments.seed), int(arguments.fold)
    frames = open_frames(arguments.shards, arguments.splits)
    material, release = load_material(frames, arguments.nulls, section)
    event = events_trained(lag, (memory.target,))[0]
    try:
        held = fold_material(material, fold, memory.num_folds, lag, event)
    except ValueError as error:
        raise InputError(f"{arguments.splits}: {error}") from error
    keep_freed_memory()
    checkpoint = _checkpoint(arguments)
    model, base, state = run_resumable(
        checkpoint, StopFlag(), recipe, f"fold-{fold}", Path(arguments.tensorboard),
        partial(train_head, settings, recipe, held, lag, event, seed, device), itemgetter(2),
    )  # fmt: skip
    release()
    arrays, header = pack_density(event, model, base, density_spec(settings, section.window_frames))
    write_bundle(
        arguments.model,
        arrays,
        {**arguments.manifest(seed), "models": {event: header}, "val_nll": state.best_score},
    )
    checkpoint.remove()


def _checkpoint(arguments: _cli.Arguments) -> Checkpoint:
    inputs = [arguments.nulls, arguments.splits, *arguments.shards]
    parts = [*arguments.section_texts().values(), *map(file_digest, inputs)]
    parts += [arguments.lag, arguments.seed, arguments.fold]
    key = text_digest("\n".join([arguments.frozen.code, *parts]))
    path = arguments.model.parent / f".checkpoint-fold-{arguments.fold}.safetensors"
    return Checkpoint(path, key)


if __name__ == "__main__":
    _cli.run(main)
