"""Fit all keys of one family on the train frames of a representation."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.latents import LatentStore
from engram_audio.keys.config import KeyFamily, KeysSection
from engram_audio.keys.fit import KeyMaterial, fit_family
from engram_audio.keys.storage import pack_family
from engram_audio.latents.block import BlockSource, LatentBlock, cached
from engram_audio.steps._cli import Fact, Frozen, Output, StepFiles, Wildcard, run
from engram_audio.steps._frames import open_frames


class Files(StepFiles):
    family: Wildcard[str]
    section: Frozen[KeysSection]
    family_section: Frozen[KeyFamily]
    lags: Fact[list[int]]
    splits: Path
    shards: list[Path]
    key_file: Output


def main(argv: list[str] | None = None) -> None:
    """Run the step."""
    files = Files.parse(argv)
    section = files.section
    frames = open_frames(files.shards, files.splits)
    material = KeyMaterial(_source(frames.store, section), frames.part_of, section)
    fitted = fit_family(files.family, files.family_section, files.lags, material)
    arrays, header = pack_family(fitted)
    write_bundle(files.key_file, arrays, {**files.manifest(section.seed), "fitted": header})


def _source(store: LatentStore, section: KeysSection) -> BlockSource:
    """The stream of all frames, kept in memory where it takes at most half of what may be held."""

    def source() -> Iterator[LatentBlock]:
        return store.blocks(block_frames=section.block_frames)

    num_bytes = 4 * store.metadata.num_dims * int(np.sum(store.index["num_frames"].to_numpy()))
    return cached(source) if 2 * num_bytes <= section.fit_memory_gib * 2**30 else source


if __name__ == "__main__":
    run(main)
