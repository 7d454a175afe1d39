"""Write one shard of a representation after a channel that adds Gaussian noise."""

from pathlib import Path

from engram_audio.artifacts.digest import file_digest
from engram_audio.artifacts.latents import LatentStore, write_latent_shard
from engram_audio.artifacts.tensors import read_tensors
from engram_audio.latents.config import NoisyRepresentation
from engram_audio.latents.extraction import frame_times
from engram_audio.latents.noise import channel_rate, noisy_block
from engram_audio.latents.summary import carried_over
from engram_audio.latents.surrogates import surrogate_hash
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run


class Files(StepFiles):
    representation: Wildcard[str]
    section: Frozen[NoisyRepresentation]
    scale: Path
    latents: Path
    noisy_latents: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    tensors, header = read_tensors(files.scale, ["std"])
    store = LatentStore([files.latents])
    block = noisy_block(store.load(), tensors["std"], section.noise_to_signal, section.seed)
    base = store.metadata
    recipe = (file_digest(files.scale), section.noise_to_signal, section.seed)
    metadata = base._replace(
        representation=files.representation,
        latent_space=f"{base.latent_space} with noise of {section.noise_to_signal:g} SD",
        weight_hash=surrogate_hash(base.weight_hash, "noisy", recipe),
        cold_start_frames=0,  # the source's cold start was dropped before
    )
    carried = carried_over(store.manifests[0])
    manifest = {**files.manifest(section.seed), **carried}
    manifest["rate"] = channel_rate(carried.get("rate"), header["capacity_bits_per_s"])
    manifest["channel"] = {
        "noise_to_signal": section.noise_to_signal,
        "capacity_bits_per_s": header["capacity_bits_per_s"],
    }
    times = frame_times(block.offsets, base.frame_rate_hz)
    write_latent_shard(
        files.noisy_latents,
        block,
        times,
        metadata,
        manifest,
        store.energy_unit,
        files.section.compression,
    )


if __name__ == "__main__":
    run(main)
