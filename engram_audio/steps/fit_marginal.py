"""Fit a head's family without context, grown until val stops improving: its null."""

import logging

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.prediction.config import PredictionSection
from engram_audio.prediction.fit import fit_marginals
from engram_audio.prediction.storage import pack_marginals
from engram_audio.steps import _cli
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_head, load_material
from engram_audio.steps._training import TrainingRun

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "fit_marginal",
        __doc__,
        inputs=["nulls", "splits"],
        input_lists=["shards"],
        outputs=["marginal"],
        wildcards=["head", "seed"],
        argv=argv,
    )
    section = arguments.load_section("section", PredictionSection)
    head = load_head(arguments)
    frames = open_frames(arguments.shards, arguments.splits)
    seed = int(arguments.seed)
    with TrainingRun(arguments) as run, load_material(frames, arguments.nulls, section) as material:
        fits = fit_marginals(head, run.recipe, material, seed)
    for space, (fit, _) in fits.items():
        LOG.info("%s: %d components, growth %s", space, fit.num_components, fit.growth)
    arrays, header = pack_marginals(arguments.head, head, fits)
    write_bundle(arguments.marginal, arrays, {**arguments.manifest(seed), "marginals": header})


if __name__ == "__main__":
    _cli.run(main)
