"""Ask the trained arms of a generator what their gain is made of; nothing is trained."""

from pathlib import Path

import pandas as pd
import torch

from engram_audio.artifacts.table import write_table
from engram_audio.corpus.split_parts import EVAL
from engram_audio.densities.config import PredictionEvaluationSection, PredictionSection
from engram_audio.generation.config import GenerationEvaluationSection
from engram_audio.generation.cost_config import ProbesSection
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.probes.asked import ask, ground_of, key_law
from engram_audio.generation.word import MEMORY
from engram_audio.keys.bank import BankSection
from engram_audio.latents.block import concatenate_blocks
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, blame, run
from engram_audio.steps._generators import Generators, full_members, open_scoring
from engram_audio.steps._prediction import load_material


class Files(StepFiles):
    section: Frozen[PredictionSection]
    prediction_section: Frozen[PredictionEvaluationSection]
    evaluation_section: Frozen[GenerationEvaluationSection]
    probes_section: Frozen[ProbesSection]
    bank_section: Frozen[BankSection]
    nulls: Path
    generators: Path
    splits: Path
    shards: list[Path]
    probes: Output
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    device, frames, stage, trained = open_scoring(files)
    by_seed = _by_seed(trained, device)
    held = concatenate_blocks(list(stage.sources[EVAL]()))
    section = files.probes_section
    with load_material(frames, files.nulls, files.section) as material, blame(files.splits):
        first = next(iter(by_seed.values()))[MEMORY]
        size = files.evaluation_section.batch_utterances
        ground = ground_of(first, material, held, section, size)
        law = key_law(ground, files.bank_section) if "flip" in section.names else None
        found = [ask(models, seed, ground, law) for seed, models in by_seed.items()]
    write_table(files.probes, pd.concat(found, ignore_index=True), files.manifest())


def _by_seed(trained: Generators, device: torch.device) -> dict[int, dict[ArmName, Generator]]:
    """Return the arms of full length by seed, in evaluation mode."""
    found: dict[int, dict[ArmName, Generator]] = {}
    for member in full_members(trained):
        model = trained.model(member).to(device)
        found.setdefault(member["seed"], {})[member["arm"]] = model
    return found


if __name__ == "__main__":
    run(main)
