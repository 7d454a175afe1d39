"""Simulate a planted world: its latents, and the tables that a corpus would bring."""

from engram_audio.artifacts.latents import LatentMetadata, write_latent_shard
from engram_audio.artifacts.table import write_table
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.tables import (
    FRAME_RATE_HZ,
    exclusion_table,
    frame_times,
    shard_table,
    utterance_table,
)
from engram_audio.calibration.world import simulate
from engram_audio.latents.config import WorldRepresentation
from engram_audio.provenance import canonical_json, text_digest
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run


class Files(StepFiles):
    representation: Wildcard[str]
    section: Frozen[WorldRepresentation]
    utterances: Output
    exclusions: Output
    shards: Output
    latents: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    world = make_world(section.world, section.seed)
    size = WorldSize(
        section.num_train_speakers, section.num_eval_speakers, section.num_utterances_per_speaker
    )
    draw = simulate(world, size)
    recipe = {"world": section.world, "seed": section.seed, "parameters": world.parameters()}
    metadata = LatentMetadata(
        representation=files.representation,
        num_dims=world.num_dims,
        frame_rate_hz=FRAME_RATE_HZ,
        latent_space="world",
        weight_hash=text_digest(canonical_json(recipe)),
        is_causal=True,
        cold_start_frames=0,
    )
    manifest = files.manifest(section.seed, corpus=files.representation)  # a corpus of its own
    write_latent_shard(
        files.latents,
        draw.block,
        frame_times(draw.block.offsets),
        metadata,
        manifest,
        energy_unit="arbitrary, planted",
        compression=section.compression,
    )
    write_table(files.utterances, utterance_table(draw), manifest)
    write_table(files.exclusions, exclusion_table(), manifest)
    write_table(files.shards, shard_table(draw), manifest)


if __name__ == "__main__":
    run(main)
