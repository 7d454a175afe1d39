"""Which frames are scored: parts, slices and targets of a stream of blocks.

A stream is read many times and always in the same order. Its scalars per frame (energy, part,
speaker) are kept, its vectors are not: a slice takes ten bytes for each target, whatever D is.

Shapes: M targets of a slice in stream order, B blocks, S speakers.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import numpy as np

from engram_audio import windows
from engram_audio.corpus.split_parts import PARTS
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.numerics.slices import (
    LoudEnergies,
    slice_masks,
    speech_levels,
    speech_mask,
)
from engram_audio.structure.config import StructureSection
from engram_audio.views import SliceName

TRAIN, VAL, SELECT, EVAL = range(len(PARTS))  # parts as numbers


class FrameIndex(NamedTuple):
    """Scalars of a stream, one entry per block.

    Attributes:
        offsets: Utterance offsets of each block, [U + 1].
        energy: Energy per frame, [N], float32.
        is_scored: Which frames decide, [N], bool.
        part: Number of the part (see `PARTS`) of each utterance, [U], int8.
        speaker: Position in `speaker_ids` of each utterance's speaker, [U], int32.
        speaker_ids: All speakers, sorted, [S].
        loud: 95th percentile of each speaker's energy; None where there are no energies.
    """

    offsets: list[np.ndarray]
    energy: list[np.ndarray]
    is_scored: list[np.ndarray]
    part: list[np.ndarray]
    speaker: list[np.ndarray]
    speaker_ids: np.ndarray
    loud: dict[str, float] | None


class SliceTargets(NamedTuple):
    """The targets of one slice, in stream order.

    Attributes:
        rows: Ascending target rows of each block, int32.
        start: Block b holds targets `start[b]:start[b + 1]`, [B + 1].
        part: Part of each target, [M], int8.
        speaker: Speaker of each target, [M], in as few bytes as hold S.
        utterance: Number of each target's utterance in the stream, [M], int32.
        eval_energy: Energy of each eval target, in their order, float32.
    """

    rows: list[np.ndarray]
    start: np.ndarray
    part: np.ndarray
    speaker: np.ndarray
    utterance: np.ndarray
    eval_energy: np.ndarray

    def walk(self, source: BlockSource) -> Iterator[tuple[LatentBlock, np.ndarray, slice]]:
        """Yield each block that holds targets, their rows in it and their span among the M."""
        for number, block in enumerate(source()):
            span = slice(int(self.start[number]), int(self.start[number + 1]))
            if span.start < span.stop:
                yield block, self.rows[number], span

    def walk_train(self, source: BlockSource) -> Iterator[tuple[LatentBlock, np.ndarray]]:
        """Yield blocks and the rows of their train targets."""
        for block, rows, span in self.walk(source):
            chosen = rows[self.part[span] == TRAIN]
            if len(chosen):
                yield block, chosen

    def count(self, part: int) -> int:
        """Return how many targets a part has."""
        return int(np.count_nonzero(self.part == part))


def index_frames(
    source: BlockSource, part_of: Mapping[str, str], has_energy: bool = True
) -> FrameIndex:
    """Read a stream once and keep its scalars.

    Args:
        source: The stream.
        part_of: Part (train, val, select, eval) of each utterance id.
        has_energy: Whether energies are those of a signal, so that there is a slice of speech.

    Raises:
        KeyError: An utterance has no part.
    """
    offsets, energy, is_scored, part, speakers = [], [], [], [], []
    loud = LoudEnergies()
    for block in source():
        offsets.append(block.offsets)
        energy.append(block.energy.astype(np.float32, copy=False))
        is_scored.append(block.scored())
        part.append(np.array([PARTS.index(part_of[name]) for name in block.utterance_ids], np.int8))
        speakers.append(np.asarray(block.speaker_ids, dtype=str))
        loud.add(block.speaker_ids, block.offsets, block.energy, is_scored[-1])
    names, codes = np.unique(np.concatenate(speakers), return_inverse=True)
    edges = np.cumsum([len(block) for block in speakers])[:-1]
    return FrameIndex(
        offsets, energy, is_scored, part, np.split(codes.astype(np.int32), edges),
        names.astype(object), loud.quantiles() if has_energy else None,
    )  # fmt: skip


def all_targets(index: FrameIndex, number: int, section: StructureSection) -> np.ndarray:
    """Return the rows of a block that are targets at every lag, [M]."""
    rows = windows.target_rows(
        index.offsets[number], section.window_frames, max(section.lags_frames)
    )
    return rows[index.is_scored[number][rows]]


def _is_speech(
    index: FrameIndex, number: int, rows: np.ndarray, lag: int, section: StructureSection
) -> np.ndarray:
    if index.loud is None:
        return np.zeros(len(rows), dtype=bool)
    names = index.speaker_ids[index.speaker[number]]
    levels = speech_levels(index.loud, names, section.speech_range_db)
    return speech_mask(index.offsets[number], index.energy[number], rows, lag, levels)


def select_targets(
    index: FrameIndex, name: SliceName, lag_frames: int, section: StructureSection
) -> SliceTargets:
    """Select the targets of a slice; only `speech` depends on the lag."""
    rows, part, speaker, utterance, energy = [], [], [], [], []
    first_utterance = 0
    small = np.min_scalar_type(max(len(index.speaker_ids) - 1, 0))
    for number, offsets in enumerate(index.offsets):
        chosen = all_targets(index, number, section)
        is_speech = _is_speech(index, number, chosen, lag_frames, section)
        chosen = chosen[slice_masks(offsets, chosen, [name], section.medial_range, is_speech)[0]]
        of_row = windows.utterance_of_rows(offsets, chosen)
        rows.append(chosen.astype(np.int32))
        part.append(index.part[number][of_row])
        speaker.append(index.speaker[number][of_row].astype(small))
        utterance.append((of_row + first_utterance).astype(np.int32))
        energy.append(index.energy[number][chosen[part[-1] == EVAL]])
        first_utterance += len(offsets) - 1
    return SliceTargets(
        rows=rows,
        start=np.concatenate([[0], np.cumsum([len(block) for block in rows])]),
        part=np.concatenate(part),
        speaker=np.concatenate(speaker),
        utterance=np.concatenate(utterance),
        eval_energy=np.concatenate(energy),
    )
