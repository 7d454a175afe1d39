"""Fit the VAR(p) twin of a representation on its train utterances."""

import logging

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table
from engram_audio.artifacts.tensors import write_tensors
from engram_audio.latents.config import SurrogatesSection
from engram_audio.latents.var import fit_var
from engram_audio.steps import _cli

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "fit_var",
        __doc__,
        inputs=["splits"],
        input_lists=["latents"],
        outputs=["model"],
        argv=argv,
    )
    section = arguments.load_section("section", SurrogatesSection)
    splits = read_table(arguments.splits, ["utterance_id", "split"])
    train = set(splits.loc[splits["split"] == "train", "utterance_id"])
    model = fit_var(LatentStore(arguments.latents).blocks(train), section.var_order)
    LOG.info(
        "%d train frames, spectral radius %.4f (fitted %.4f)",
        int(model.num_frames[0]),
        float(model.radius[0]),
        float(model.fitted_radius[0]),
    )
    write_tensors(arguments.model, model._asdict(), arguments.manifest())


if __name__ == "__main__":
    _cli.run(main)
