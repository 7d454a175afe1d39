"""Fit the VAR(p) twins of a representation on its train utterances."""

import logging
from pathlib import Path

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table
from engram_audio.artifacts.tensors import write_tensors
from engram_audio.latents.config import SurrogatesSection
from engram_audio.latents.var import fit_on_train
from engram_audio.steps._cli import Frozen, Output, StepFiles, run

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    section: Frozen[SurrogatesSection]
    splits: Path
    latents: list[Path]
    model: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    splits = read_table(files.splits, ["utterance_id", "split"])
    part_of = dict(zip(splits["utterance_id"], splits["split"], strict=True))
    model = fit_on_train(LatentStore(files.latents).blocks, part_of, files.section.var_order)
    LOG.info(
        "%d train frames, spectral radius %.4f (fitted %.4f)",
        int(model.num_frames[0]),
        float(model.radius[0]),
        float(model.fitted_radius[0]),
    )
    write_tensors(files.model, model._asdict(), files.manifest())


if __name__ == "__main__":
    run(main)
