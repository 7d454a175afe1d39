"""Which targets are scored, and the NLL of a model on them by speaker.

Shapes: M targets of a block.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from engram_audio import windows
from engram_audio.densities.data import WindowData, window_data
from engram_audio.densities.density import Density
from engram_audio.densities.reduction import SpeakerSums, frame_names
from engram_audio.densities.reference import Reference
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.latents.targets import speech_targets, targets_of
from engram_audio.numerics.slices import slice_masks
from engram_audio.views import SlicesView

# The slice `all` alone: what is chosen needs no other, and their bounds do not matter then.
WHOLE = {"slices": ("all",), "medial_range": (0.0, 1.0), "speech_range_db": 1.0}


class Scope(NamedTuple):
    """What is scored.

    Attributes:
        part_of: Part of each utterance id.
        lag_frames: k.
        window_frames: W.
        max_lag_frames: Largest lag of the study.
        reference: Train statistics.
        evaluation: Slices.
        batch_frames: Targets at a time.
        device: Where models are.
    """

    part_of: Mapping[str, str]
    lag_frames: int
    window_frames: int
    max_lag_frames: int
    reference: Reference
    evaluation: SlicesView
    batch_frames: int
    device: torch.device

    def targets(self, block: LatentBlock, part: str) -> np.ndarray:
        """Return the block rows of a part's targets."""
        rows = targets_of(block, self.window_frames, self.max_lag_frames)
        is_part = np.array([self.part_of[str(name)] == part for name in block.utterance_ids])
        return rows[is_part[windows.utterance_of_rows(block.offsets, rows)]]

    def data(self, block: LatentBlock, targets: np.ndarray) -> WindowData:
        """Index targets."""
        return window_data(
            block, targets, self.lag_frames, self.window_frames, self.reference.speakers
        )

    def batches(self, data: WindowData) -> Sequence[torch.Tensor]:
        """Split the targets; the last batch is never alone, so that shuffled keys are others'."""
        size = self.batch_frames
        parts = list(torch.arange(len(data)).split(size))
        if len(parts) > 1 and len(parts[-1]) == 1:
            parts[-2:] = [torch.cat(parts[-2:])]
        return parts

    def masks(self, block: LatentBlock, targets: np.ndarray) -> np.ndarray:
        """Return slice membership."""
        return slice_masks(
            block.offsets, targets, self.evaluation.slices, self.evaluation.medial_range,
            speech_targets(
                block, targets, self.lag_frames, self.reference.loud,
                self.evaluation.speech_range_db,
            ),
        )  # fmt: skip


@torch.no_grad()
def score_nll(model: Density, source: BlockSource, part: str, scope: Scope) -> pd.DataFrame:
    """Return a model's sums by slice and speaker of a part: num_frames and nll."""
    sums = SpeakerSums(scope.evaluation.slices)
    for block in source():
        targets = scope.targets(block, part)
        if not len(targets):
            continue
        data = scope.data(block, targets)
        parts = [
            -model.log_prob(data.batch(items, scope.device)).double().cpu().numpy()
            for items in scope.batches(data)
        ]
        names = frame_names(block, targets, scope.masks(block, targets))
        sums.add(names, {"nll": np.concatenate(parts)}, "num_frames")
    return sums.table().assign(part=part)
