"""Fit the bank of one target, base and lag, and train the predictor of its weights."""

from pathlib import Path

import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.jsonl import write_jsonl
from engram_audio.keys.bank import BankSection
from engram_audio.keys.config import BaseName, TargetName
from engram_audio.keys.law_config import LawPredictorSection, LawSection
from engram_audio.keys.law_storage import pack_ceiling
from engram_audio.keys.law_targets import Aim
from engram_audio.keys.law_training import LawMaterial, feature_scale
from engram_audio.keys.learned_fit import Training, train_predictor
from engram_audio.steps._cli import Device, Frozen, LogFolder, Output, StepFiles, Wildcard, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._laws import fitted_units, open_targets
from engram_audio.steps._training import TrainingRun
from engram_audio.training.config import TrainingRecipe


class Files(StepFiles):
    lag: Wildcard[int]
    target: Wildcard[TargetName]
    base: Wildcard[BaseName]
    section: Frozen[LawSection]
    bank_section: Frozen[BankSection]
    predictor_section: Frozen[LawPredictorSection]
    recipe_section: Frozen[TrainingRecipe]
    splits: Path
    shards: list[Path]
    predictor: Output
    history: Output
    tensorboard: LogFolder
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section, settings = files.section, files.predictor_section
    device = torch.device(resolve_device(files.device, uses_torch=True))
    aim = Aim(files.target, files.base, files.lag)
    with (
        TrainingRun(files, files.recipe_section) as run,
        open_targets(files.shards, files.splits, section, files.lag) as (frames, targets),
    ):
        units = fitted_units(frames, targets, aim, section, files.bank_section)
        centre = units.whitening.centre.astype("float32")
        scale = feature_scale(targets, centre, settings.cluster_frames)
        material = LawMaterial(
            targets, units.whitening.y(targets), units.bank, centre, scale, device
        )
        how = Training(
            settings, {settings.recipe: run.recipe}, run.train, section.seed, 1,
            section.window_frames,
        )  # fmt: skip
        network, state = train_predictor(material, how)
        arrays, header = pack_ceiling(units._replace(scale=scale, network=network))
        write_jsonl(files.history, state.history)
        write_bundle(files.predictor, arrays, {**files.manifest(section.seed), "ceiling": header})


if __name__ == "__main__":
    run(main)
