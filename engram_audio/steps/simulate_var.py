"""Simulate one shard of a VAR(p) twin of a representation."""

from pathlib import Path

from engram_audio.artifacts.latents import LatentStore, write_latent_shard
from engram_audio.artifacts.tensors import read_tensors
from engram_audio.latents.config import SurrogatesSection, VarName
from engram_audio.latents.extraction import frame_times
from engram_audio.latents.surrogates import surrogate_hash
from engram_audio.latents.var import VarModel, simulate_var
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run


class Files(StepFiles):
    representation: Wildcard[str]
    surrogate: Wildcard[VarName]
    section: Frozen[SurrogatesSection]
    model: Path
    latents: Path
    surrogate_latents: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    tensors, _ = read_tensors(files.model, VarModel._fields)
    model = VarModel(**tensors)
    store = LatentStore([files.latents])
    block = simulate_var(model, store.load(), section.seed, files.surrogate)
    base = store.metadata
    recipe = f"{section.var_order} {section.seed}"
    metadata = base._replace(
        representation=f"{files.representation}--{files.surrogate}",
        weight_hash=surrogate_hash(base.weight_hash, files.surrogate, recipe),
        cold_start_frames=0,  # the base's cold start was dropped before
    )
    surrogate = {
        "kind": files.surrogate,
        "order": section.var_order,
        "spectral_radius": float(model.radius[0]),
        "fitted_spectral_radius": float(model.fitted_radius[0]),
        "num_train_frames": int(model.num_frames[0]),
    }
    own = files.manifest(section.seed, representation=metadata.representation)
    manifest = {**own, "surrogate": surrogate}
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
