"""Fit a head's family without context, grown until the choice part stops improving: its null."""

import logging
from pathlib import Path

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.densities.config import HeadSection, PredictionSection
from engram_audio.densities.fit import fit_marginals
from engram_audio.densities.storage import pack_marginals
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.steps._training import TrainingRun
from engram_audio.training.config import TrainingRecipe

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    head: Wildcard[str]
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    head_section: Frozen[HeadSection]
    recipe_section: Frozen[TrainingRecipe]
    nulls: Path
    splits: Path
    shards: list[Path]
    marginal: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    frames = open_frames(files.shards, files.splits)
    with (
        TrainingRun(files, files.recipe_section) as run,
        load_material(frames, files.nulls, files.section) as material,
    ):
        fits = fit_marginals(files.head_section, run.recipe, material, files.seed)
    for space, (fit, _) in fits.items():
        LOG.info("%s: %d components, growth %s", space, fit.num_components, fit.growth)
    arrays, header = pack_marginals(files.head, files.head_section, fits)
    write_bundle(files.marginal, arrays, {**files.manifest(files.seed), "marginals": header})


if __name__ == "__main__":
    run(main)
