"""Write one shard of z_dyn of a factoriser as a representation."""

from pathlib import Path

import torch

from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.latents import LatentMetadata, LatentStore, write_latent_shard
from engram_audio.factorizer.export import state_block
from engram_audio.latents.config import StateRepresentation
from engram_audio.latents.extraction import frame_times
from engram_audio.steps._cli import Device, Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._device import resolve_device
from engram_audio.steps._factorizer import read_factorizer


class Files(StepFiles):
    representation: Wildcard[str]
    section: Frozen[StateRepresentation]
    model: Path
    latents: Path
    state_latents: Output
    device: Device


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    model, header = read_factorizer(files.model)
    device = torch.device(resolve_device(files.device, uses_torch=True))
    store = LatentStore([files.latents])
    state = model.settings.state
    seed = section.seed if section.is_sampled else None
    block = state_block(model, store.load(), device, seed)
    rate = store.metadata.frame_rate_hz / state.stride_frames
    metadata = LatentMetadata(
        representation=files.representation,
        num_dims=state.num_dims,
        frame_rate_hz=rate,
        latent_space=f"z_dyn of {section.factorizer} ({state.rate}) on {section.source}",
        weight_hash=file_digest(files.model),
        is_causal=store.metadata.is_causal,
        cold_start_frames=0,  # the source's cold start was dropped before
    )
    manifest = {**files.manifest(section.seed), "collapse": header["collapse"]}
    times = frame_times(block.offsets, rate)
    write_latent_shard(
        files.state_latents,
        block,
        times,
        metadata,
        manifest,
        store.energy_unit,
        section.compression,
    )


if __name__ == "__main__":
    run(main)
