"""Make one shard of a surrogate that needs no fit: shuffled or phase_randomized."""

from pathlib import Path

from engram_audio.artifacts.latents import LatentStore, write_latent_shard
from engram_audio.latents.config import SurrogatesSection
from engram_audio.latents.extraction import frame_times
from engram_audio.latents.surrogates import SURROGATES, surrogate_hash
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run


class Files(StepFiles):
    representation: Wildcard[str]
    surrogate: Wildcard[str]
    section: Frozen[SurrogatesSection]
    latents: Path
    surrogate_latents: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    store = LatentStore([files.latents])
    kind = files.surrogate
    block = SURROGATES[kind](store.load(), files.section.seed)
    base = store.metadata
    metadata = base._replace(
        representation=f"{files.representation}--{kind}",
        weight_hash=surrogate_hash(base.weight_hash, kind, files.section.seed),
        cold_start_frames=0,  # the base's cold start was dropped before
    )
    own = files.manifest(files.section.seed, representation=metadata.representation)
    manifest = {**own, "surrogate": {"kind": kind}}
    times = frame_times(block.offsets, base.frame_rate_hz)
    write_latent_shard(
        files.surrogate_latents,
        block,
        times,
        metadata,
        manifest,
        store.energy_unit,
        store.compression,
    )


if __name__ == "__main__":
    run(main)
