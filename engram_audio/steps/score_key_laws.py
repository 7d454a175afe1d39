"""Score keys by the laws of one bank: nats about the target, per speaker, slice and part."""

from functools import partial
from pathlib import Path

import torch

from engram_audio.artifacts.table import write_table
from engram_audio.keys.bank import BankSection
from engram_audio.keys.config import BaseName, TargetName
from engram_audio.keys.law_config import LawSection
from engram_audio.keys.law_scores import Scoring, score_all
from engram_audio.keys.law_targets import Aim
from engram_audio.keys.law_training import LawMaterial, predicted_laws
from engram_audio.steps._cli import Fact, Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._keys import read_family
from engram_audio.steps._laws import fitted_units, open_targets, read_agreement, read_ceiling

CPU = torch.device("cpu")


class Files(StepFiles):
    lag: Wildcard[int]
    target: Wildcard[TargetName]
    base: Wildcard[BaseName]
    section: Frozen[LawSection]
    bank_section: Frozen[BankSection]
    keys: Fact[list[str]]
    predictor: Path | None
    key_files: list[Path]
    splits: Path
    shards: list[Path]
    scores: Output
    facts: Output
    directions: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    families = [read_family(path) for path in files.key_files]
    agreement = {n: v for path in files.key_files for n, v in read_agreement(path).items()}
    aim = Aim(files.target, files.base, files.lag)
    with open_targets(files.shards, files.splits, section, files.lag) as (frames, targets):
        units = (
            read_ceiling(files.predictor)
            if files.predictor
            else fitted_units(frames, targets, aim, section, files.bank_section)
        )
        y, whitening = units.whitening.y(targets), units.whitening
        speech = section.speech_range_db if frames.store.has_energy else None
        masks = targets.slice_masks(section.slices, section.medial_range, speech)
        scoring = Scoring(
            targets, whitening, y, units.bank, section,
            dict(zip(section.slices, masks, strict=True)),
        )  # fmt: skip
        predicted = None
        if files.predictor:
            material = LawMaterial(
                targets, y, units.bank, whitening.centre.astype("float32"), units.scale, CPU
            )
            predicted = partial(predicted_laws, material, units.network)
        found = score_all(scoring, families, files.keys, predicted, agreement)
    manifest = files.manifest(section.seed)
    write_table(files.scores, found.scores, manifest)
    write_table(files.facts, found.facts, manifest)
    write_table(files.directions, found.directions, manifest)


if __name__ == "__main__":
    run(main)
