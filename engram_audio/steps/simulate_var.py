"""Simulate one shard of a VAR(p) twin of a representation."""

from pathlib import Path

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.tensors import read_tensors
from engram_audio.latents.config import SurrogatesSection, VarName
from engram_audio.latents.var import VarModel, simulate_var
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._surrogate import write_surrogate


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
    surrogate = {
        "kind": files.surrogate,
        "order": section.var_order,
        "spectral_radius": float(model.radius[0]),
        "fitted_spectral_radius": float(model.fitted_radius[0]),
        "num_train_frames": int(model.num_frames[0]),
    }
    name = f"{files.representation}--{files.surrogate}", surrogate
    recipe = f"{section.var_order} {section.seed}"
    write_surrogate(files.surrogate_latents, files, store, block, section.seed, name, recipe)


if __name__ == "__main__":
    run(main)
