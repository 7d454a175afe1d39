"""Train one Engram memory jointly with its head, and its control with shuffled keys; resumable."""

from functools import partial

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.memory.config import EngramMemory, MemoryStageSection
from engram_audio.memory.joint import train_engram
from engram_audio.memory.storage import pack_engram
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.fit import events_trained
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_head, load_material
from engram_audio.steps._training import TrainingRun


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
    head = load_head(arguments)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    lag, seed = int(arguments.lag), int(arguments.seed)
    frames = open_frames(arguments.shards, arguments.splits)
    event = events_trained(lag, (stage.target,))[0]
    arrays, headers = {}, {}
    with TrainingRun(arguments) as run, load_material(frames, arguments.nulls, section) as material:
        for label, is_shuffled in (("memory", False), ("shuffled_keys", True)):
            train = partial(
                train_engram, settings, head, run.recipe, material, lag, event, seed, device,
                is_shuffled=is_shuffled,
            )  # fmt: skip
            with _cli.blame(arguments.section_name("memory_section")):
                trained = run.train(label, train)
            packed, headers[label] = pack_engram(
                label, trained, settings, head, section.window_frames
            )
            arrays |= packed
        kind = {"kind": settings.kind, "event": stage.target, "memories": headers}
        write_bundle(arguments.memory, arrays, {**arguments.manifest(seed), **kind})


if __name__ == "__main__":
    _cli.run(main)
