"""Train one Engram memory jointly with its head, and its control with shuffled keys; resumable."""

from functools import partial
from operator import attrgetter
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.digest import file_digest
from engram_audio.errors import InputError
from engram_audio.memory.config import EngramMemory, MemoryStageSection
from engram_audio.memory.joint import train_engram
from engram_audio.memory.storage import pack_engram
from engram_audio.prediction.config import PredictionSection, head_model
from engram_audio.prediction.fit import events_trained
from engram_audio.provenance import text_digest
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import Checkpoint, StopFlag, keep_freed_memory, run_resumable
from engram_audio.training.config import TrainingRecipe
from engram_audio.training.loop import Callbacks, TrainingState


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "train_memory",
        __doc__,
        inputs=["nulls", "splits"],
        input_lists=["shards"],
        outputs=["memory"],
        wildcards=["lag", "seed"],
        texts=["tensorboard"],
        uses_device=True,
        argv=argv,
    )  # fmt: skip
    section = arguments.load_section("section", PredictionSection)
    stage = arguments.load_section("stage_section", MemoryStageSection)
    settings = arguments.load_section("memory_section", EngramMemory)
    head_class = head_model(
        arguments.section_text("head_section"), arguments.section_name("head_section")
    )
    head = arguments.load_section("head_section", head_class)
    recipe = arguments.load_section("recipe_section", TrainingRecipe)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    lag, seed = int(arguments.lag), int(arguments.seed)
    frames = open_frames(arguments.shards, arguments.splits)
    material, release = load_material(frames, arguments.nulls, section)
    event = events_trained(lag, (stage.target,))[0]
    keep_freed_memory()
    stop = StopFlag()
    arrays, headers, checkpoints = {}, {}, []
    for label, is_shuffled in (("memory", False), ("shuffled_keys", True)):

        def run(state: TrainingState | None, wired: Callbacks, is_shuffled: bool = is_shuffled):
            train = partial(train_engram, settings, head, recipe, material, lag, event, seed)
            return train(device, state, wired, is_shuffled)

        checkpoint = _checkpoint(arguments, label)
        checkpoints.append(checkpoint)
        try:
            trained = run_resumable(
                checkpoint, stop, recipe, label, Path(arguments.tensorboard), run,
                attrgetter("state"),
            )  # fmt: skip
        except ValueError as error:
            raise InputError(f"{arguments.section_name('memory_section')}: {error}") from error
        packed, headers[label] = pack_engram(label, trained, settings, head, section.window_frames)
        arrays |= packed
    release()
    header = {
        **arguments.manifest(seed),
        "kind": settings.kind,
        "event": stage.target,
        "memories": headers,
    }
    write_bundle(arguments.memory, arrays, header)
    for checkpoint in checkpoints:
        checkpoint.remove()


def _checkpoint(arguments: _cli.Arguments, label: str) -> Checkpoint:
    inputs = [arguments.nulls, arguments.splits, *arguments.shards]
    parts = [*arguments.section_texts().values(), *map(file_digest, inputs)]
    parts += [arguments.lag, arguments.seed, label]
    key = text_digest("\n".join([arguments.frozen.code, *parts]))
    return Checkpoint(arguments.memory.parent / f".checkpoint-{label}.safetensors", key)


if __name__ == "__main__":
    _cli.run(main)
