"""Write one latent shard of the arrays that a user brings."""

from pathlib import Path

from engram_audio.artifacts.external_arrays import read_array_table, read_arrays
from engram_audio.artifacts.latents import LATENT_RMS, LatentMetadata, write_latent_shard
from engram_audio.artifacts.table import read_table, read_table_manifest
from engram_audio.latents.arrays import DIGEST, collect_block, unchanged
from engram_audio.latents.config import ArraysRepresentation
from engram_audio.latents.extraction import frame_times
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run


class Files(StepFiles):
    representation: Wildcard[str]
    shard: Wildcard[str]
    section: Frozen[ArraysRepresentation]
    table: Path
    shards: Path
    checked: list[Path]
    latents: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    shards = read_table(files.shards, ["utterance_id", "speaker_id", "shard", DIGEST])
    facts = read_table_manifest(files.shards)["arrays"]
    members = shards.loc[shards["shard"] == files.shard]
    names = members["utterance_id"].to_numpy()
    rows = read_arrays(Path(section.path), read_array_table(files.table), names)
    rows = unchanged(rows, dict(zip(names, members[DIGEST], strict=True)), str(files.shards))
    block = collect_block(rows, names, members["speaker_id"].to_numpy(), facts["has_energy"])
    metadata = LatentMetadata(
        representation=files.representation,
        num_dims=facts["num_dims"],
        frame_rate_hz=section.frame_rate_hz,
        latent_space=section.latent_space,
        weight_hash=facts["content_hash"],
        is_causal=section.is_causal,
        cold_start_frames=0,
    )
    energy = "given with the arrays" if facts["has_energy"] else LATENT_RMS
    times = frame_times(block.offsets, section.frame_rate_hz)
    manifest = {**files.manifest(), "energy": energy}
    write_latent_shard(files.latents, block, times, metadata, manifest, energy, section.compression)


if __name__ == "__main__":
    run(main)
