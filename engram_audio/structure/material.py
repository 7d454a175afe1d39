"""A representation made ready for scoring: indexed, cut into slices, its targets normalised."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd

from engram_audio.errors import InputError
from engram_audio.latents.block import BlockSource, hold
from engram_audio.structure.config import StructureSection
from engram_audio.structure.normalization import Normalization, fit_normalizations
from engram_audio.structure.targets import (
    FrameIndex,
    SliceTargets,
    index_frames,
    select_targets,
)
from engram_audio.views import SliceName


class Material(NamedTuple):
    """A representation, indexed and cut into slices.

    Attributes:
        source: Its stream, in memory if it takes at most half of `fit_memory_gib`.
        is_held: Whether it is in memory.
        frame_index: Scalars of its frames.
        slices: Targets of each slice.
        normalizations: Train statistics of delta in each slice.
        section: Settings.
    """

    source: BlockSource
    is_held: bool
    frame_index: FrameIndex
    slices: dict[SliceName, SliceTargets]
    normalizations: dict[SliceName, Normalization]
    section: StructureSection


def prepare(source: BlockSource, part_of: Mapping[str, str], section: StructureSection) -> Material:
    """Index a stream, cut its slices and fit the normalisation of delta in each.

    Args:
        source: Blocks of whole utterances, the same in every reading.
        part_of: Part (train, val, eval) of each utterance id.
        section: Settings.
    """
    index = index_frames(source, part_of)
    num_dims = next(iter(source())).frames.shape[1]
    num_frames = sum(int(offsets[-1]) for offsets in index.offsets)
    is_held = num_frames * num_dims * 4 <= memory_bytes(section) // 2
    source = hold(source) if is_held else source
    slices: dict[SliceName, SliceTargets] = {
        name: select_targets(index, name, section) for name in section.slices
    }
    fitted = fit_normalizations(source, list(slices.values()), section.std_floor)
    normalizations: dict[SliceName, Normalization] = dict(zip(slices, fitted, strict=True))
    return Material(source, is_held, index, slices, normalizations, section)


def memory_bytes(section: StructureSection) -> int:
    """Return `fit_memory_gib` in bytes."""
    return int(section.fit_memory_gib * 2**30)


def part_of_utterances(
    utterance_ids: Iterable[str], splits: pd.DataFrame, source: str
) -> dict[str, str]:
    """Return the part of each utterance.

    Args:
        utterance_ids: Utterances of the representation.
        splits: Table with `utterance_id` and `split`.
        source: Name of the table's file, for errors.

    Raises:
        InputError: An utterance is not in the table.
    """
    names = list(utterance_ids)
    known = dict(zip(splits["utterance_id"], splits["split"], strict=True))
    for name in names:
        if name not in known:
            raise InputError(
                f"{source}: lacks utterance {name}, which has latents; rerun the rule make_splits"
            )
    return {name: known[name] for name in names}
