"""What every shard of a surrogate is written with: the name, hash and storage of its base."""

from pathlib import Path
from typing import Any

from engram_audio.artifacts.latents import LatentStore, write_latent_shard
from engram_audio.latents.block import LatentBlock
from engram_audio.latents.extraction import frame_times
from engram_audio.latents.surrogates import surrogate_hash
from engram_audio.steps._cli import StepFiles


def write_surrogate(
    path: Path,
    files: StepFiles,
    base: LatentStore,
    block: LatentBlock,
    seed: int,
    name: tuple[str, dict[str, Any]],
    recipe: int | str,
) -> None:
    """Write one shard.

    Args:
        path: Target.
        files: The step's, for its manifest.
        base: Shard that the surrogate is of.
        block: The surrogate's utterances.
        seed: What it was drawn with.
        name: The representation's name and what the manifest says of the surrogate.
        recipe: What decides its numbers beside the base and the kind.
    """
    representation, about = name
    metadata = base.metadata._replace(
        representation=representation,
        weight_hash=surrogate_hash(base.metadata.weight_hash, about["kind"], recipe),
        cold_start_frames=0,  # the base's cold start was dropped before
    )
    manifest = {**files.manifest(seed, representation=representation), "surrogate": about}
    times = frame_times(block.offsets, metadata.frame_rate_hz)
    write_latent_shard(path, block, times, metadata, manifest, base.energy_unit, base.compression)
