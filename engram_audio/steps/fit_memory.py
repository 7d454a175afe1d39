"""Fit one lookup memory on one base, and its control with shuffled keys."""

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.memory.config import LookupMemory, MemoryStageSection
from engram_audio.memory.fit import fit_lookup
from engram_audio.memory.storage import pack_lookup
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.fit import event_seed
from engram_audio.steps import _cli
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._memory import candidates
from engram_audio.steps._prediction import load_material


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "fit_memory",
        __doc__,
        inputs=["nulls", "splits"],
        optional_inputs=["base_model"],
        input_lists=["shards"],
        optional_lists=["folds"],
        outputs=["memory"],
        wildcards=["base", "lag", "seed"],
        uses_device=True,
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    stage = arguments.load_section("stage_section", MemoryStageSection)
    settings = arguments.load_section("memory_section", LookupMemory)
    device = torch.device(resolve_device(arguments.device, uses_torch=True))
    lag, seed = int(arguments.lag), int(arguments.seed)
    frames = open_frames(arguments.shards, arguments.splits)
    arrays, headers = {}, {}
    with (
        load_material(frames, arguments.nulls, section) as material,
        _cli.blame(arguments.section_name("memory_section")),
    ):
        bases = candidates(
            arguments.base, material, lag, stage.target, stage.num_folds, arguments.base_model,
            arguments.folds or [],
        )  # fmt: skip
        for label, is_shuffled in (("memory", False), ("shuffled_keys", True)):
            fitted = fit_lookup(
                settings, material, lag, bases, event_seed(seed, "memory"), device, is_shuffled
            )
            packed, headers[label] = pack_lookup(label, fitted)
            arrays |= packed
    kind = {"kind": settings.kind, "event": stage.target, "memories": headers}
    write_bundle(arguments.memory, arrays, {**arguments.manifest(seed), **kind})


if __name__ == "__main__":
    _cli.run(main)
