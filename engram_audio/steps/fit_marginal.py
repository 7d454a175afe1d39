"""Fit a head's family without context, grown until val stops improving: its null."""

import logging

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.prediction.config import PredictionSection, head_model
from engram_audio.prediction.fit import fit_marginals
from engram_audio.prediction.storage import pack_marginals
from engram_audio.steps import _cli
from engram_audio.steps._frames import open_frames
from engram_audio.steps._prediction import load_material
from engram_audio.training.config import TrainingRecipe

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
    model = head_model(
        arguments.section_text("head_section"), arguments.section_name("head_section")
    )
    settings = arguments.load_section("head_section", model)
    recipe = arguments.load_section("recipe_section", TrainingRecipe)
    frames = open_frames(arguments.shards, arguments.splits)
    material, release = load_material(frames, arguments.nulls, section)
    fits = fit_marginals(settings, recipe, material, int(arguments.seed))
    for space, (fit, _) in fits.items():
        LOG.info("%s: %d components, growth %s", space, fit.num_components, fit.growth)
    release()
    arrays, header = pack_marginals(arguments.head, settings, fits)
    write_bundle(
        arguments.marginal, arrays, {**arguments.manifest(int(arguments.seed)), "marginals": header}
    )


if __name__ == "__main__":
    _cli.run(main)
