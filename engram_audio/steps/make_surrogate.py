"""Make one shard of a surrogate that needs no fit: shuffled or phase_randomized."""

from pathlib import Path

from engram_audio.artifacts.latents import LatentStore
from engram_audio.latents.config import SurrogatesSection
from engram_audio.latents.surrogates import SURROGATES
from engram_audio.steps._cli import Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._surrogate import write_surrogate


class Files(StepFiles):
    representation: Wildcard[str]
    surrogate: Wildcard[str]
    section: Frozen[SurrogatesSection]
    latents: Path
    surrogate_latents: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    store = LatentStore([files.latents])
    seed, kind = files.section.seed, files.surrogate
    block = SURROGATES[kind](store.load(), seed)
    name = f"{files.representation}--{kind}", {"kind": kind}
    write_surrogate(files.surrogate_latents, files, store, block, seed, name, seed)


if __name__ == "__main__":
    run(main)
