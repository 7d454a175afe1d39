"""Reduce per-frame scores, block by block: sums, thinned scores, worst frames.

Shapes: M targets of a block, C score columns, G slices, S speakers, K worst frames.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio import windows
from engram_audio.densities.predictor import View
from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.grouped import membership


class FrameNames(NamedTuple):
    """Who the targets of a block are.

    Attributes:
        utterance: Utterance ids, shape [M].
        speaker: Speaker ids, shape [M].
        frame: t within the utterance, shape [M].
        masks: Slice membership, bool, shape [G, M].
        order: Place of the speaker among the block's speakers in alphabetical order, shape [M].
    """

    utterance: np.ndarray
    speaker: np.ndarray
    frame: np.ndarray
    masks: np.ndarray
    order: np.ndarray

    def subset(self, positions: np.ndarray) -> "FrameNames":
        """Return some of the targets."""
        return FrameNames(
            self.utterance[positions],
            self.speaker[positions],
            self.frame[positions],
            self.masks[:, positions],
            self.order[positions],
        )


def frame_names(block: LatentBlock, targets: np.ndarray, masks: np.ndarray) -> FrameNames:
    """Name the targets of a block."""
    utterance = windows.utterance_of_rows(block.offsets, targets)
    speakers = np.asarray(block.speaker_ids, dtype=str)
    return FrameNames(
        np.asarray(block.utterance_ids, dtype=str)[utterance],
        speakers[utterance],
        targets - block.offsets[utterance],
        masks,
        np.unique(speakers, return_inverse=True)[1][utterance],
    )


def joined(parts: Sequence[FrameNames]) -> FrameNames:
    """Return the targets of several blocks, one after the other; `order` is that of each block."""
    return FrameNames(*(np.concatenate(own, axis=-1) for own in zip(*parts, strict=True)))


class SpeakerSums:
    """Sums of score columns by slice and speaker, float64."""

    def __init__(self, slices: Sequence[str]) -> None:
        """Start empty."""
        self._slices = tuple(slices)
        self._sums: dict[tuple[str, str], dict[str, float]] = {}

    def add(self, names: FrameNames, columns: dict[str, np.ndarray], count_name: str) -> None:
        """Add one block's columns, each [M]; `count_name` counts the targets behind them."""
        _, first, code = np.unique(names.order, return_index=True, return_inverse=True)
        speakers = names.speaker[first]
        labels = [count_name, *columns]
        matrix = np.column_stack([np.ones(len(code)), *columns.values()]).astype(np.float64)
        for number, slice_name in enumerate(self._slices):
            chosen = np.flatnonzero(names.masks[number])
            by_speaker = membership(code[chosen], len(speakers), matrix.dtype) @ matrix[chosen]
            for speaker, row in zip(speakers, by_speaker, strict=True):
                total = self._sums.setdefault((slice_name, str(speaker)), {})
                for label, value in zip(labels, row.tolist(), strict=True):
                    total[label] = total.get(label, 0.0) + value

    def table(self) -> pd.DataFrame:
        """Return one row per slice and speaker, in slice order, speakers sorted."""
        order = {name: number for number, name in enumerate(self._slices)}
        keys = sorted(self._sums, key=lambda key: (order[key[0]], key[1]))
        rows = [
            {"slice": name, "speaker_id": speaker, **self._sums[name, speaker]}
            for name, speaker in keys
        ]
        return pd.DataFrame(rows)


def stored_frames(names: FrameNames, slices: Sequence[str], nll: np.ndarray) -> pd.DataFrame:
    """Return the thinned frames with their score and slice flags."""
    frame = pd.DataFrame(
        {"utterance_id": names.utterance, "speaker_id": names.speaker, "frame": names.frame}
    )
    for number, name in enumerate(slices):
        frame[f"in_{name}"] = names.masks[number]
    frame["nll"] = nll
    return frame


class WorstFrames:
    """The frames with the largest score of a stream; ties go to the earlier frame."""

    def __init__(self, count: int, slices: Sequence[str]) -> None:
        """Keep at most `count`."""
        self._count, self._slices = count, tuple(slices)
        self._kept: list[tuple[float, dict[str, object]]] = []

    def add(self, names: FrameNames, view: View, nll: np.ndarray) -> None:
        """Offer a block's frames."""
        order = np.argsort(-nll, kind="stable")[: self._count]
        steps = np.linalg.norm(windows.delta(view.block.frames, view.targets[order]), axis=1)
        for position, step in zip(order, steps, strict=True):
            held = [name for g, name in enumerate(self._slices) if names.masks[g, position]]
            row = {
                "utterance_id": str(names.utterance[position]),
                "speaker_id": str(names.speaker[position]),
                "frame": int(names.frame[position]),
                "delta_norm": float(step),
                "slices": " ".join(name for name in held if name != "all"),
                "nll": float(nll[position]),
            }
            self._kept.append((float(nll[position]), row))
        self._kept.sort(key=lambda item: -item[0])
        del self._kept[self._count :]

    def table(self) -> pd.DataFrame:
        """Return the worst frames, worst first."""
        return pd.DataFrame([row for _, row in self._kept])
