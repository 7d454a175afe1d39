"""Make one shard of a surrogate that needs no fit: shuffled or phase_randomized."""

from engram_audio.artifacts.latents import LatentStore, write_latent_shard
from engram_audio.latents.config import SurrogatesSection
from engram_audio.latents.extraction import frame_times
from engram_audio.latents.surrogates import SURROGATES, surrogate_hash
from engram_audio.steps import _cli


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    arguments = _cli.parse_arguments(
        "make_surrogate",
        __doc__,
        inputs=["latents"],
        outputs=["surrogate_latents"],
        wildcards=["representation", "surrogate"],
        argv=argv,
    )
    section = arguments.load_section("section", SurrogatesSection)
    store = LatentStore([arguments.latents])
    kind = arguments.surrogate
    block = SURROGATES[kind](store.load(), section.seed)
    base = store.metadata
    metadata = base._replace(
        representation=f"{arguments.representation}--{kind}",
        weight_hash=surrogate_hash(base.weight_hash, kind, section.seed),
        cold_start_frames=0,  # the base's cold start was dropped before
    )
    manifest = {**arguments.manifest(section.seed), "surrogate": {"kind": kind}}
    times = frame_times(block.offsets, base.frame_rate_hz)
    write_latent_shard(
        arguments.surrogate_latents, block, times, metadata, manifest, store.energy_unit
    )


if __name__ == "__main__":
    _cli.run(main)
