"""Measure the train SD of a representation, and the capacity of its noisy channel."""

import logging

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table
from engram_audio.artifacts.tensors import write_tensors
from engram_audio.latents.config import NoisyRepresentation
from engram_audio.latents.noise import capacity_bits_per_frame, measure_scale
from engram_audio.steps import _cli

LOG = logging.getLogger(__name__)


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "fit_noise_scale",
        __doc__,
        inputs=["splits"],
        input_lists=["latents"],
        outputs=["scale"],
        argv=argv,
    )
    section = arguments.load_section("section", NoisyRepresentation)
    splits = read_table(arguments.splits, ["utterance_id", "split"])
    train = set(splits.loc[splits["split"] == "train", "utterance_id"])
    store = LatentStore(arguments.latents)
    scale = measure_scale(store.blocks(train))
    bits = capacity_bits_per_frame(scale, section.noise_to_signal) * store.metadata.frame_rate_hz
    LOG.info("at most %.0f bits/s pass", bits)
    write_tensors(
        arguments.scale, {"std": scale.std}, {**arguments.manifest(), "capacity_bits_per_s": bits}
    )


if __name__ == "__main__":
    _cli.run(main)
