"""Train the parametric models that a memory has to beat: as many parameters, and as much work."""

from functools import partial
from operator import attrgetter, itemgetter
from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.digest import file_digest
from engram_audio.errors import InputError
from engram_audio.memory.config import MemoryControlsSection, MemoryStageSection
from engram_audio.memory.matching import Matched, match_width, memory_budget
from engram_audio.prediction.config import AnyHead, PredictionSection, head_model
from engram_audio.prediction.fit import Material, events_trained, head_task, train_head
from engram_audio.prediction.storage import density_spec, pack_density
from engram_audio.provenance import text_digest
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._memory import read_memory
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import Checkpoint, StopFlag, keep_freed_memory, run_resumable
from engram_audio.training.config import TrainingRecipe

MEASURES = {"matched_parameters": "parameters", "matched_flops": "flops"}
FEW_FRAMES = 256


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "train_matched",
        __doc__,
        inputs=["memory", "nulls", "splits"],
        optional_inputs=["base_model"],
        input_lists=["shards"],
        outputs=["matched"],
        wildcards=["lag", "seed"],
        texts=["tensorboard"],
        uses_device=True,
        argv=argv,
    )  # fmt: skip
    section = arguments.load_section("section", PredictionSection)
    stage = arguments.load_section("stage_section", MemoryStageSection)
    controls = arguments.load_section("controls_section", MemoryControlsSection)
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
    try:
        matched = _matched(arguments, controls, material, head, lag, stage.target, seed)
    except ValueError as error:
        raise InputError(f"{arguments.section_name('controls_section')}: {error}") from error
    keep_freed_memory()
    stop = StopFlag()
    arrays, headers, checkpoints = {}, {}, []
    for label, own in matched.items():
        checkpoint = _checkpoint(arguments, label)
        checkpoints.append(checkpoint)
        model, base, _ = run_resumable(
            checkpoint, stop, recipe, label, Path(arguments.tensorboard),
            partial(train_head, own.head, recipe, material, lag, event, seed, device),
            itemgetter(2),
        )  # fmt: skip
        packed, header = pack_density(
            label, model, base, density_spec(own.head, section.window_frames)
        )
        arrays |= packed
        headers[label] = {
            **header, "budget": own.budget._asdict(), "is_capped": own.is_capped,
        }  # fmt: skip
    release()
    write_bundle(arguments.matched, arrays, {**arguments.manifest(seed), "models": headers})
    for checkpoint in checkpoints:
        checkpoint.remove()


def _matched(
    arguments: _cli.Arguments,
    controls: MemoryControlsSection,
    material: Material,
    head: AnyHead,
    lag: int,
    event: str,
    seed: int,
) -> dict[str, Matched]:
    """Return the heads that match the memory's parameters and its work."""
    stored = read_memory(
        arguments.memory, material.rungs, lag, arguments.base_model, material.reference
    )
    budget = memory_budget(stored.models["memory"])

    def build(settings: AnyHead):
        task, _ = head_task(settings, material, lag, event, seed, FEW_FRAMES, torch.device("cpu"))
        return task.model

    return {
        label: match_width(
            head, build, getattr(budget, measure), attrgetter(measure), controls.maximum_width
        )
        for label, measure in MEASURES.items()
    }


def _checkpoint(arguments: _cli.Arguments, label: str) -> Checkpoint:
    inputs = [arguments.memory, arguments.nulls, arguments.splits, *arguments.shards]
    parts = [*arguments.section_texts().values(), *map(file_digest, inputs)]
    parts += [arguments.lag, arguments.seed, label]
    key = text_digest("\n".join([arguments.frozen.code, *parts]))
    return Checkpoint(arguments.matched.parent / f".checkpoint-{label}.safetensors", key)


if __name__ == "__main__":
    _cli.run(main)
