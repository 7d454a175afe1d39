"""Fit one memory on one base, and its control with shuffled keys."""

from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.densities.config import PredictionSection
from engram_audio.memory.config import MemorySection, MemoryStageSection
from engram_audio.numerics.seeds import named_seed
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, Wildcard, blame, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._frames import open_frames
from engram_audio.steps._keys import read_family
from engram_audio.steps._memory import candidates, memory_header
from engram_audio.steps._prediction import load_material


class Files(StepFiles):
    base: Wildcard[str]
    lag: Wildcard[int]
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    stage_section: Frozen[MemoryStageSection]
    memory_section: Frozen[MemorySection]
    key_file: Path
    nulls: Path
    splits: Path
    base_model: Path | None
    shards: list[Path]
    folds: list[Path]
    memory: Output
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device = torch.device(resolve_device(files.device, uses_torch=True))
    stage, settings, lag = files.stage_section, files.memory_section, files.lag
    frames = open_frames(files.shards, files.splits)
    key = read_family(files.key_file).key(settings.key, lag, str(files.key_file))
    module, own = settings.behaviour()
    arrays, headers = {}, {}
    with (
        load_material(frames, files.nulls, files.section, key.is_centred) as material,
        blame(files.section_name(settings)),
    ):
        bases = candidates(
            files.base, material, lag, stage.target, stage.num_folds, files.base_model, files.folds,
        )  # fmt: skip
        for label, is_shuffled in (("memory", False), ("shuffled_keys", True)):
            seed = named_seed(files.seed, "memory")
            fitted = module.fit(own, key, material, lag, bases, seed, device, is_shuffled)
            packed, headers[label] = module.pack(label, fitted)
            arrays |= packed
    header = memory_header(settings, stage.target, headers)
    write_bundle(files.memory, arrays, {**files.manifest(files.seed), **header})


if __name__ == "__main__":
    run(main)
