"""Scores of single frames under codes of the caller's choice, and what the memory did at each.

Shapes: N rows of a block, M targets, B utterances, T frames.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.generation.data import GeneratorData
from engram_audio.generation.insertion import Reading
from engram_audio.generation.model import Generator
from engram_audio.latents.block import LatentBlock


class FrameScores(NamedTuple):
    """What a generator says of targets, each [M], on the CPU.

    Attributes:
        nll: Nats.
        gate: Of the frame before, mean over places; NaN without a gate.
        write: Size of what is added there over that of the state; NaN without a memory.
    """

    nll: Tensor
    gate: Tensor
    write: Tensor


def whole_block(block: LatentBlock) -> GeneratorData:
    """Return all utterances of a block, from which donors of foreign keys are taken."""
    frames = torch.from_numpy(np.ascontiguousarray(block.frames, dtype=np.float32))
    everyone = np.arange(len(block.utterance_ids))
    return GeneratorData(frames, block.offsets, everyone, block.scored(), 2, 1)


def padded_rows(offsets: np.ndarray, utterances: np.ndarray) -> Tensor:
    """Return the block rows of whole utterances side by side, the last one repeated, [B, T]."""
    starts, lengths = offsets[utterances], np.diff(offsets)[utterances]
    place = np.minimum(np.arange(lengths.max()), (lengths - 1)[:, None])
    return torch.from_numpy(starts[:, None] + place)


@torch.no_grad()
def score_frames(
    model: Generator, block: LatentBlock, targets: np.ndarray, codes: Tensor | None,
    batch_utterances: int,
) -> FrameScores:  # fmt: skip
    """Return the scores of targets, each from all frames of its utterance before it.

    Args:
        model: A generator on its device, in evaluation mode.
        block: Whole utterances.
        targets: Rows of the frames told, ascending, [M].
        codes: Codes of all rows, [N]; None lets the model find its own. A foreign arm reads those
            of another utterance's rows.
        batch_utterances: Utterances at a time.

    Raises:
        ValueError: A foreign arm finds a block of one utterance, or no codes.
    """
    data, device = whole_block(block), model.mean.device
    utterance = windows.utterance_of_rows(block.offsets, targets)
    found = torch.full((3, len(targets)), float("nan"))
    names = np.unique(utterance)
    for low in range(0, len(names), batch_utterances):
        own = names[low : low + batch_utterances]
        rows = padded_rows(block.offsets, own)
        from_rows = data.foreign_rows(rows) if model.is_foreign else rows
        read = None if codes is None else codes[from_rows].to(device)
        frames = data.frames_of(rows, device)
        chosen = np.flatnonzero(np.isin(utterance, own))
        row = torch.from_numpy(np.searchsorted(own, utterance[chosen])).to(device)
        place = targets[chosen] - block.offsets[utterance[chosen]]
        place = torch.from_numpy(place).to(device)
        trace, recent = model.trace(frames, read), model.recent(frames)
        before = (row, place - 1)
        nll = -model.log_prob(trace.features[before], recent[before], frames[row, place])
        columns = [nll, *_read(list(trace.readings.values()), before, nll)]
        found[:, torch.from_numpy(chosen)] = torch.stack(columns).cpu()
    return FrameScores(*found)


def _read(
    readings: list[Reading], before: tuple[Tensor, Tensor], like: Tensor
) -> tuple[Tensor, Tensor]:
    """Return gates and write sizes at some frames, means over places."""
    nothing = torch.full_like(like, float("nan"))
    gates = [reading.gate[before] for reading in readings if reading.gate is not None]
    writes = [reading.share()[before] for reading in readings]
    return (
        torch.stack(gates).mean(0) if gates else nothing,
        torch.stack(writes).mean(0) if writes else nothing,
    )
