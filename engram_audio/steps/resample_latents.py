"""Write one shard of a representation at a lower frame rate: groups of another's frames."""

import logging
from pathlib import Path

from engram_audio.artifacts.latents import LatentStore, write_latent_shard
from engram_audio.latents.config import ResampledRepresentation
from engram_audio.latents.extraction import Exclusion, frame_times
from engram_audio.latents.resampling import resample_block
from engram_audio.latents.summary import carried_over
from engram_audio.latents.surrogates import surrogate_hash
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run

LOG = logging.getLogger(__name__)


class Files(StepFiles):
    representation: Wildcard[str]
    section: Frozen[ResampledRepresentation]
    latents: Path
    resampled_latents: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    size, mode = files.section.frames_per_group, files.section.mode
    store = LatentStore([files.latents])
    source = store.load()
    resampled = resample_block(source, size, mode)
    base = store.metadata
    metadata = base._replace(
        representation=files.representation,
        num_dims=resampled.block.frames.shape[1],
        frame_rate_hz=base.frame_rate_hz / size,
        latent_space=f"{base.latent_space}, {mode} of {size} frames",
        weight_hash=surrogate_hash(base.weight_hash, f"resampled {mode}", size),
        cold_start_frames=0,  # the source's cold start was dropped before
    )
    manifest = {**files.manifest(), **carried_over(store.manifests[0])}
    manifest["extraction"]["excluded"] = [
        Exclusion(
            str(source.utterance_ids[u]), str(source.speaker_ids[u]), "too_short_for_group",
            f"fewer than {size} frames",
        )._asdict()
        for u in resampled.left_out
    ]  # fmt: skip
    manifest["resampling"] = {
        **files.section.model_dump(include={"source", "mode", "frames_per_group"}),
        "num_dropped_frames": resampled.num_dropped,
        "moments": resampled.moments,
    }
    times = frame_times(resampled.block.offsets, metadata.frame_rate_hz)
    write_latent_shard(
        files.resampled_latents, resampled.block, times, metadata, manifest,
        store.energy_unit, files.section.compression,
    )  # fmt: skip
    LOG.info("%d frames in partial groups dropped", resampled.num_dropped)


if __name__ == "__main__":
    run(main)
