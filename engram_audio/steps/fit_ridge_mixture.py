"""Fit the null with the ridge's mean and a static mixture of its residuals, at every lag."""

import logging
from pathlib import Path

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.densities.config import PredictionSection, RidgeMixtureSection
from engram_audio.densities.ridge_mixture import fit_ridge_mixtures, pack_ridge_mixtures
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    seed: Wildcard[int]
    section: Frozen[PredictionSection]
    null_section: Frozen[RidgeMixtureSection]
    nulls: Path
    splits: Path
    shards: list[Path]
    ridge_mixture: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    frames = open_frames(files.shards, files.splits)
    with load_material(frames, files.nulls, section) as material:
        fits = fit_ridge_mixtures(
            files.null_section, material, section.lags_frames, section.targets, files.seed
        )
    for (lag, event), fit in fits.items():
        LOG.info("lag %d, %s: %.4f nats; tried %s", lag, event, fit.choice_nll, fit.tried)
    arrays, entries = pack_ridge_mixtures(fits)
    manifest = files.manifest(files.seed)
    write_bundle(files.ridge_mixture, arrays, {**manifest, "ridge_mixtures": entries})


if __name__ == "__main__":
    run(main)
