"""What every size of a generator scores: NLL and energy by speaker, beside its budget.

Shapes: M targets.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from engram_audio import windows
from engram_audio.generation.evaluation import LAG_FRAMES, Scope
from engram_audio.generation.frame_scores import (
    codes_of_block,
    energy_of_frames,
    score_frames,
    whole_block,
)
from engram_audio.generation.model import Generator
from engram_audio.generation.sources import tables_of
from engram_audio.latents.block import BlockSource
from engram_audio.latents.targets import targets_of
from engram_audio.numerics.seeds import named_seed


class Drawing(NamedTuple):
    """How energy scores are drawn: samples of each frame, 0 for no score, and a seed."""

    num_samples: int
    seed: int


@torch.no_grad()
def quality_sums(
    model: Generator, source: BlockSource, scope: Scope, drawing: Drawing
) -> pd.DataFrame:
    """Return sums by speaker: num_frames, nll and energy; NaN energy without samples.

    All models draw from the same numbers, block by block.
    """
    model.to(scope.device).eval()
    parts = list(_of_blocks(model, source, scope, drawing))
    rows = pd.concat(parts, ignore_index=True).groupby("speaker_id", sort=True)
    found = rows.agg(num_frames=("nll", "size"), nll=("nll", "sum"), energy=("energy", "sum"))
    if not drawing.num_samples:
        found["energy"] = np.nan
    return found.reset_index()


def _of_blocks(
    model: Generator, source: BlockSource, scope: Scope, drawing: Drawing
) -> Iterator[pd.DataFrame]:
    for number, block in enumerate(source()):
        targets = targets_of(block, scope.window_frames, LAG_FRAMES)
        codes = None
        if model.is_foreign:
            codes = codes_of_block(model, whole_block(block), scope.batch_utterances)
        own = (model, block, targets, codes, scope.batch_utterances)
        energy = np.full(len(targets), np.nan)
        if drawing.num_samples:
            generator = torch.Generator(scope.device)
            generator.manual_seed(named_seed(drawing.seed, "energy", number))
            energy = energy_of_frames(*own, drawing.num_samples, generator).double().numpy()
        utterance = windows.utterance_of_rows(block.offsets, targets)
        yield pd.DataFrame({
            "speaker_id": np.asarray(block.speaker_ids, dtype=str)[utterance],
            "nll": score_frames(*own).nll.double().numpy(), "energy": energy,
        })  # fmt: skip


def budget_row(model: Generator, budget: Mapping[str, Any]) -> dict[str, float]:
    """Return what a size works and holds, and the numbers of its rows."""
    rows = sum(table.num_rows * table.row_width for table in tables_of(model))
    return {
        "flops_generated": float(budget["flops_generated"]),
        "num_resident": float(budget["num_resident"]),
        "num_rows_numbers": float(rows),
        "width": float(model.settings.width),
    }
