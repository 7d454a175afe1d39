"""Measure the train SD of a representation, and the capacity of its noisy channel."""

import logging
from pathlib import Path

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table
from engram_audio.artifacts.tensors import write_tensors
from engram_audio.latents.config import NoisyRepresentation
from engram_audio.latents.noise import capacity_bits_per_frame, measure_scale
from engram_audio.steps._cli import Frozen, Output, StepFiles, run

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    section: Frozen[NoisyRepresentation]
    splits: Path
    latents: list[Path]
    scale: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    splits = read_table(files.splits, ["utterance_id", "split"])
    train = set(splits.loc[splits["split"] == "train", "utterance_id"])
    store = LatentStore(files.latents)
    scale = measure_scale(store.blocks(train))
    bits = (
        capacity_bits_per_frame(scale, files.section.noise_to_signal) * store.metadata.frame_rate_hz
    )
    LOG.info("at most %.0f bits/s pass", bits)
    write_tensors(
        files.scale, {"std": scale.std}, {**files.manifest(), "capacity_bits_per_s": bits}
    )


if __name__ == "__main__":
    run(main)
