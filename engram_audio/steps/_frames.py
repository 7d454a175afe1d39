"""What every prediction step reads, with and without networks: split frames, nulls, reference."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.resident import block_source
from engram_audio.artifacts.table import read_table
from engram_audio.corpus.split_parts import PARTS, TRAIN, choice_part
from engram_audio.densities.config import PredictionSection
from engram_audio.densities.dequantization import dequantization_sd
from engram_audio.densities.null_storage import unpack_linear_nulls, unpack_reference
from engram_audio.densities.nulls import LinearNull
from engram_audio.densities.reference import Reference
from engram_audio.errors import InputError
from engram_audio.keys.so_far import means_before
from engram_audio.latents.block import BlockSource
from engram_audio.steps._shared import loaded_once


class Frames(NamedTuple):
    """The split frames of a representation.

    Attributes:
        store: Open shards.
        part_of: Part of each utterance id that has latents.
    """

    store: LatentStore
    part_of: dict[str, str]

    @property
    def present_parts(self) -> list[str]:
        """Parts that have utterances, in their order."""
        found = set(self.part_of.values())
        return [part for part in PARTS if part in found]

    @property
    def fitting_parts(self) -> tuple[str, str]:
        """What training reads: train, and the part that is chosen on."""
        return TRAIN, choice_part(self.part_of.values())

    def source(self, parts: Sequence[str], block_frames: int) -> BlockSource:
        """Return the stream of some parts."""
        chosen = {name for name, part in self.part_of.items() if part in parts}
        return block_source(self.store, chosen, block_frames)


def open_frames(shards: Sequence[Path], splits: Path) -> Frames:
    """Open shards and give every utterance its part.

    Raises:
        InputError: An utterance is in no split.
    """
    return loaded_once(("frames", *shards, splits), lambda: _opened(shards, splits))


def _opened(shards: Sequence[Path], splits: Path) -> Frames:
    store = LatentStore(shards)
    table = read_table(splits, ["utterance_id", "split"])
    split_of = dict(zip(table["utterance_id"], table["split"], strict=True))
    missing = [name for name in store.index["utterance_id"] if name not in split_of]
    if missing:
        raise InputError(
            f"{splits}: has no utterance {missing[0]} ({len(missing)} missing); rerun make_splits"
        )
    return Frames(store, {str(name): split_of[name] for name in store.index["utterance_id"]})


def noise_of(reference: Reference, section: PredictionSection) -> np.ndarray:
    """Return the dequantisation noise's SD, shape [D]."""
    return dequantization_sd(reference, section.dequantization_fraction)


def with_means_so_far(reference: Reference, frames: Frames, block_frames: int) -> Reference:
    """Return the statistics with what each speaker has said before each utterance.

    Whole shards are read once, in their order, as the structure stage reads them.
    """
    before = means_before(frames.source(PARTS, block_frames))
    return reference._replace(speakers=reference.speakers._replace(before=before))


def read_nulls(path: Path) -> tuple[Reference, list[LinearNull]]:
    """Read what `fit_linear_nulls` wrote."""
    arrays, header = read_bundle(path)
    return unpack_reference(arrays, header["reference"]), unpack_linear_nulls(
        arrays, header["nulls"]
    )
