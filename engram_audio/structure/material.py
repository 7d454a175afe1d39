"""A representation made ready for scoring: indexed, cut into slices, its targets normalised."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import pandas as pd

from engram_audio.errors import InputError
from engram_audio.latents.block import BlockSource, cached
from engram_audio.structure.config import StructureSection
from engram_audio.structure.normalization import Normalization, fit_normalizations
from engram_audio.structure.targets import (
    FrameIndex,
    SliceTargets,
    index_frames,
    select_targets,
)
from engram_audio.views import SliceName

Where = tuple[SliceName, int]  # a slice and a lag


class SliceData(NamedTuple):
    """One slice at one lag: its targets and the train statistics of delta in them."""

    targets: SliceTargets
    normalization: Normalization


class Material(NamedTuple):
    """A representation, indexed and cut into slices.

    Attributes:
        source: Its stream, in memory if it takes at most half of `fit_memory_gib`.
        frame_index: Scalars of its frames.
        places: Targets of each slice at each lag. Only `speech` differs between lags, so the other
            slices hold the same targets at all.
        section: Settings.
    """

    source: BlockSource
    frame_index: FrameIndex
    places: Mapping[Where, SliceData]
    section: StructureSection

    @property
    def num_speakers(self) -> int:
        """S."""
        return len(self.frame_index.speaker_ids)


def prepare(
    source: BlockSource, part_of: Mapping[str, str], section: StructureSection,
    has_energy: bool = True,
) -> Material:  # fmt: skip
    """Index a stream, cut its slices and fit the normalisation of delta in each.

    Args:
        source: Blocks of whole utterances, the same in every reading.
        part_of: Part (train, val, select, eval) of each utterance id.
        section: Settings.
        has_energy: Whether energies are those of a signal. Without them `speech` is empty.
    """
    index = index_frames(source, part_of, has_energy)
    num_dims = next(iter(source())).frames.shape[1]
    num_frames = sum(int(offsets[-1]) for offsets in index.offsets)
    is_held = num_frames * num_dims * 4 <= memory_bytes(section) // 2
    source = cached(source) if is_held else source
    # a slice that no lag moves is cut once
    lags = {name: section.lags_frames[: None if name == "speech" else 1] for name in section.slices}
    cut = {
        (name, lag): select_targets(index, name, lag, section)
        for name in section.slices
        for lag in lags[name]
    }
    fitted = fit_normalizations(source, list(cut.values()), section.std_floor)
    known = {
        place: SliceData(targets, own)
        for (place, targets), own in zip(cut.items(), fitted, strict=True)
    }
    places: dict[Where, SliceData] = {
        (name, lag): known[name, lag if name == "speech" else lags[name][0]]
        for name in section.slices
        for lag in section.lags_frames
    }
    return Material(source, index, places, section)


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
