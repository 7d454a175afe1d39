"""Scores of single frames under codes of the caller's choice, and what the memory did at each.

Shapes: N rows of a block, M targets, B utterances, T frames.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.generation.condition_data import Conditions
from engram_audio.generation.data import GeneratorData, codes_of_rows
from engram_audio.generation.insertion import Reading
from engram_audio.generation.model import Generator
from engram_audio.latents.block import LatentBlock
from engram_audio.rollout.scores import energy_score


class FrameScores(NamedTuple):
    """What a generator says of targets, each [M], on the CPU.

    Attributes:
        nll: Nats; of a head without a density the energy score, in train SD.
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
def codes_of_block(model: Generator, data: GeneratorData, batch_utterances: int) -> Tensor:
    """Return the codes of all rows of a block, [N]; of states [N, routes]."""
    offsets = data.offsets.numpy()
    if not model.is_routed:
        return codes_of_rows(model.key, data.frames, offsets)
    found = []
    for low in range(0, len(data.utterances), batch_utterances):
        own = data.utterances[low : low + batch_utterances].numpy()
        rows = padded_rows(offsets, own)
        told = None if data.conditions is None else data.conditions.of(rows, model.mean.device)
        codes = model.codes(data.frames_of(rows, model.mean.device), told).cpu()
        found += [codes[n, : offsets[name + 1] - offsets[name]] for n, name in enumerate(own)]
    return torch.cat(found)


class _Batch(NamedTuple):
    """Some of the targets with all that tells them.

    Attributes:
        chosen: Their numbers among all targets, [m].
        readings: What the memory did, by place.
        before: Places of the frames before them: sequence and frame, each [m].
        features: Of these frames, [m, H].
        recent: What the head reads beside, [m, R, D].
        following: The targets themselves, [m, D].
    """

    chosen: Tensor
    readings: list[Reading]
    before: tuple[Tensor, Tensor]
    features: Tensor
    recent: Tensor
    following: Tensor


def _batches(
    model: Generator, block: LatentBlock, targets: np.ndarray, codes: Tensor | None,
    batch_utterances: int, conditions: Conditions | None = None,
) -> Iterator[_Batch]:  # fmt: skip
    data, device = whole_block(block), model.mean.device
    utterance = windows.utterance_of_rows(block.offsets, targets)
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
        told = None if conditions is None else conditions.of(rows, device)
        trace, recent = model.trace(frames, read, told), model.recent(frames)
        before = (row, place - 1)
        yield _Batch(
            torch.from_numpy(chosen), list(trace.readings.values()), before,
            trace.features[before], recent[before], frames[row, place],
        )  # fmt: skip


@torch.no_grad()
def score_frames(
    model: Generator, block: LatentBlock, targets: np.ndarray, codes: Tensor | None,
    batch_utterances: int, conditions: Conditions | None = None,
) -> FrameScores:  # fmt: skip
    """Return the scores of targets, each from all frames of its utterance before it.

    Args:
        model: A generator on its device, in evaluation mode.
        block: Whole utterances.
        targets: Rows of the frames told, ascending, [M].
        codes: Codes of all rows, [N]; None lets the model find its own. A foreign arm reads those
            of another utterance's rows.
        batch_utterances: Utterances at a time.
        conditions: What all utterances of the block are told; None tells nothing.

    Raises:
        ValueError: A foreign arm finds a block of one utterance, or no codes.
    """
    found = torch.full((3, len(targets)), float("nan"))
    for batch in _batches(model, block, targets, codes, batch_utterances, conditions):
        nll = model.score(batch.features, batch.recent, batch.following)
        columns = [nll, *_read(batch.readings, batch.before, nll)]
        found[:, batch.chosen] = torch.stack(columns).cpu()
    return FrameScores(*found)


@torch.no_grad()
def energy_of_frames(
    model: Generator, block: LatentBlock, targets: np.ndarray, codes: Tensor | None,
    batch_utterances: int, num_samples: int, generator: torch.Generator,
) -> Tensor:  # fmt: skip
    """Return the fair energy score of each target in SD of the train frames, [M].

    See `score_frames`; draws are of the device of the generator.
    """
    found = torch.empty(len(targets))
    for batch in _batches(model, block, targets, codes, batch_utterances):
        drawn = model.sample(batch.features, batch.recent, num_samples, generator)
        score = energy_score(drawn.unsqueeze(2), batch.following.unsqueeze(1), model.sd)
        found[batch.chosen] = score[:, 0].cpu()
    return found


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
