"""Write one latent shard of the arrays that a user brings."""

from pathlib import Path

from engram_audio.artifacts.external_arrays import read_array_table, read_arrays
from engram_audio.artifacts.latents import LatentMetadata, write_latent_shard
from engram_audio.artifacts.table import read_table, read_table_manifest
from engram_audio.latents.arrays import DIGEST, collect_block, unchanged
from engram_audio.latents.config import ArraysRepresentation
from engram_audio.latents.extraction import frame_times
from engram_audio.steps import _cli


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "import_arrays",
        __doc__,
        inputs=["table", "shards"],
        outputs=["latents"],
        wildcards=["representation", "shard"],
        argv=argv,
    )
    section = arguments.load_section("section", ArraysRepresentation)
    shards = read_table(arguments.shards, ["utterance_id", "speaker_id", "shard", DIGEST])
    facts = read_table_manifest(arguments.shards)["arrays"]
    members = shards.loc[shards["shard"] == arguments.shard]
    names = members["utterance_id"].to_numpy()
    rows = read_arrays(Path(section.path), read_array_table(arguments.table), names)
    rows = unchanged(rows, dict(zip(names, members[DIGEST], strict=True)), str(arguments.shards))
    block = collect_block(rows, names, members["speaker_id"].to_numpy(), facts["has_energy"])
    metadata = LatentMetadata(
        representation=arguments.representation,
        num_dims=facts["num_dims"],
        frame_rate_hz=section.frame_rate_hz,
        latent_space=section.latent_space,
        weight_hash=facts["content_hash"],
        is_causal=section.is_causal,
        cold_start_frames=0,
    )
    energy = "given with the arrays" if facts["has_energy"] else "RMS of the frame's latent"
    times = frame_times(block.offsets, section.frame_rate_hz)
    manifest = {**arguments.manifest(), "energy": energy}
    write_latent_shard(arguments.latents, block, times, metadata, manifest, energy_unit=energy)


if __name__ == "__main__":
    _cli.run(main)
