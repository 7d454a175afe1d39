"""Train one head at one lag, one model per event; resumes after a kill with the same bits."""

from functools import partial
from operator import itemgetter
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.prediction.config import PredictionSection, head_model
from engram_audio.prediction.fit import events_trained, train_head
from engram_audio.prediction.storage import density_spec, pack_density
from engram_audio.provenance import text_digest
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import (
    Checkpoint,
    StopFlag,
    keep_freed_memory,
    run_resumable,
)
from engram_audio.training.config import TrainingRecipe


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "train_density",
        __doc__,
        inputs=["nulls", "splits"],
        input_lists=["shards"],
        outputs=["model", "history"],
        wildcards=["lag", "seed"],
        texts=["tensorboard"],
        uses_device=True,
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    model_class = head_model(
        arguments.section_text("head_section"), arguments.section_name("head_section")
    )
    settings = arguments.load_section("head_section", model_class)
    recipe = arguments.load_section("recipe_section", TrainingRecipe)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    lag, seed = int(arguments.lag), int(arguments.seed)
    frames = open_frames(arguments.shards, arguments.splits)
    material, release = load_material(frames, arguments.nulls, section)
    inputs = [arguments.nulls, arguments.splits, *arguments.shards]
    parts = [*arguments.section_texts().values(), *map(file_digest, inputs), str(lag), str(seed)]
    key = text_digest("\n".join([arguments.frozen.code, *parts]))
    stop = StopFlag()
    keep_freed_memory()
    arrays, headers, history, checkpoints = {}, {}, [], []
    for event in events_trained(lag, section.targets):
        checkpoint = Checkpoint(_checkpoint_path(arguments.model, event), f"{key}/{event}")
        checkpoints.append(checkpoint)
        model, base, state = run_resumable(
            checkpoint, stop, recipe, event, Path(arguments.tensorboard),
            partial(train_head, settings, recipe, material, lag, event, seed, device),
            itemgetter(2),
        )  # fmt: skip
        spec = density_spec(settings, section.window_frames)
        packed, headers[event] = pack_density(event, model, base, spec)
        arrays |= packed
        history += [{"event": event, **record} for record in state.history]
    release()
    write_jsonl(arguments.history, history)
    write_bundle(arguments.model, arrays, {**arguments.manifest(seed), "models": headers})
    for checkpoint in checkpoints:
        checkpoint.remove()


def _checkpoint_path(model: Path, event: str) -> Path:
    return model.parent / f".checkpoint-{event}.safetensors"


if __name__ == "__main__":
    _cli.run(main)
