"""Score a memory and its controls on the same frames in one pass.

Shapes: M targets of a block, B targets of a batch, S slots.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from engram_audio.corpus.split_parts import choice_part
from engram_audio.densities.base import Batch
from engram_audio.densities.data import WindowData
from engram_audio.densities.density import ConditionalDensity, Density
from engram_audio.densities.reduction import SpeakerSums, frame_names
from engram_audio.densities.scope import Scope
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.latents.block import BlockSource
from engram_audio.memory.datastore import (
    Datastore,
    KernelChoice,
    Neighbours,
    choose_kernel,
    kernel_log,
    search,
)
from engram_audio.memory.names import KNN, KNN_BASE, KNN_MEMORY
from engram_audio.memory.reading import Memory, memory_of
from engram_audio.numerics.slices import EveryNth

GATE_BATCH = 4096


class Usage:
    """How often each slot (or table row) is read."""

    def __init__(self, num_slots: int) -> None:
        """Start empty."""
        self.counts = np.zeros(num_slots, np.int64)

    def add(self, slots: np.ndarray) -> None:
        """Count reads; numbers beyond the last slot are misses."""
        own = slots[slots < len(self.counts)]
        self.counts += np.bincount(own, minlength=len(self.counts))

    def row(self) -> dict[str, Any]:
        """Return slots, slots used and the perplexity of their use."""
        total = self.counts.sum()
        share = self.counts[self.counts > 0] / max(total, 1)
        return {
            "num_slots": len(self.counts),
            "num_slots_used": int((self.counts > 0).sum()),
            "slot_perplexity": float(np.exp(-(share * np.log(share)).sum())) if total else 0.0,
        }


def score_models(
    models: Mapping[str, Density], source: BlockSource, part: str, scope: Scope
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Score models on a part.

    Returns:
        Sums per model, slice and speaker (`num_frames`, nll, sse and, of memories, gate and hit);
        one row of usage per memory.
    """
    sums = {name: SpeakerSums(scope.evaluation.slices) for name in models}
    usage = {
        name: Usage(memory.num_slots)
        for name, model in models.items()
        if (memory := memory_of(model)) is not None
    }
    for block in source():
        targets = scope.targets(block, part)
        if not len(targets):
            continue
        data = scope.data(block, targets)
        names = frame_names(block, targets, scope.masks(block, targets))
        for name, model in models.items():
            columns = _columns(model, data, scope, usage.get(name))
            sums[name].add(names, columns, "num_frames")
    tables = [own.table().assign(model=name) for name, own in sums.items()]
    if all(table.empty for table in tables):
        raise ValueError(f"{part} has no utterance long enough for a target")
    rows = [{"model": name, "part": part, **own.row()} for name, own in usage.items()]
    return pd.concat(tables, ignore_index=True).assign(part=part), pd.DataFrame(rows)


@torch.no_grad()
def _columns(
    model: Density, data: WindowData, scope: Scope, usage: Usage | None
) -> dict[str, np.ndarray]:
    """Per-target scores of one model, each [M]."""
    found: dict[str, list[np.ndarray]] = {}
    for items in scope.batches(data):
        batch = data.batch(items, scope.device)
        value = batch.current - batch.previous if model.target == "delta" else batch.current
        row = {
            "nll": -model.log_prob(batch).double(),
            "sse": (value - model.mean(batch)).double().square().sum(1),
        }
        memory = memory_of(model)
        if memory is not None and usage is not None:
            row |= {
                "gate": memory.gate(batch).double(),
                "hit": memory.is_hit(batch).double(),
                "first_hit": memory.is_first_hit(batch).double(),
            }
            usage.add(memory.slots_read(batch).cpu().numpy())
        for name, values in row.items():
            found.setdefault(name, []).append(values.cpu().numpy())
    columns = {name: np.concatenate(parts) for name, parts in found.items()}
    num_bad = int((~np.isfinite(columns["nll"])).sum())
    if num_bad:
        raise ValueError(
            f"the density of {num_bad} of {len(columns['nll'])} frames is not a number; train "
            "again with a lower learning rate"
        )
    return columns


@torch.no_grad()
def mean_gate(model: Memory, data: WindowData, device: torch.device) -> float:
    """Return the mean weight of what a memory on this device reads, over targets."""
    parts = [
        model.gate(data.batch(items, device)).double().cpu()
        for items in torch.arange(len(data)).split(GATE_BATCH)
    ]
    return float(torch.cat(parts).mean())


class KnnReference(NamedTuple):
    """The k-NN reference: what is stored, how it is read, and the memory that stands beside it."""

    store: Datastore
    key: KeyEncoder
    base: ConditionalDensity
    memory: Density
    neighbours: int
    maximum_queries: int


class KnnScores(NamedTuple):
    """Sums of `knn`, its base and the memory on the same queries; what was chosen, its NLL."""

    table: pd.DataFrame
    choice: KernelChoice
    choice_nll_nats: float


def score_datastore(
    bound: KnnReference,
    sources: Mapping[str, BlockSource],
    num_targets: Mapping[str, int],
    scope: Scope,
) -> KnnScores:
    """Choose kernel, temperature and weight on the choice part, and score queries of all parts.

    Args:
        bound: What is scored.
        sources: Streams of the parts, at least the choice part's.
        num_targets: Targets of each part.
        scope: Which targets.
    """
    chosen_on = choice_part(sources)
    choice: KernelChoice | None = None
    tables, choice_nll = [], 0.0
    for part in sorted(sources, key=lambda part: part != chosen_on):  # the choice comes first
        every = EveryNth(max(num_targets[part], 1), bound.maximum_queries)
        found, memory, names = [], [], []
        for block in sources[part]():
            targets = scope.targets(block, part)
            targets = targets[every.choose(len(targets))]
            if not len(targets):
                continue
            data = scope.data(block, targets)
            for items in scope.batches(data):
                batch = data.batch(items, scope.device)
                found.append(search(bound.store, bound.key, bound.base, batch, bound.neighbours))
                memory.append(_nll(bound.memory, batch))
            names.append(frame_names(block, targets, scope.masks(block, targets)))
        if not found:
            raise ValueError(f"{part} has no utterance long enough for a target")
        joined = _join(found)
        choice = choice or choose_kernel(joined)
        logs = {KNN: kernel_log(joined, choice), KNN_BASE: joined.base_log}
        scores = {name: -(log.double() + bound.base.base.log_det) for name, log in logs.items()}
        if part == chosen_on:
            choice_nll = float(scores[KNN].mean())
        for name, values in (scores | {KNN_MEMORY: torch.cat(memory)}).items():
            sums = SpeakerSums(scope.evaluation.slices)
            start = 0
            nll = values.cpu().numpy()
            for own in names:
                stop = start + len(own.frame)
                sums.add(own, {"nll": nll[start:stop]}, "num_frames")
                start = stop
            tables.append(sums.table().assign(model=name, part=part))
    assert choice is not None
    return KnnScores(pd.concat(tables, ignore_index=True), choice, choice_nll)


@torch.no_grad()
def _nll(model: Density, batch: Batch) -> torch.Tensor:
    return -model.log_prob(batch).double()


def _join(found: Sequence[Neighbours]) -> Neighbours:
    return Neighbours(
        torch.cat([own.squares for own in found]),
        torch.cat([own.distances for own in found]),
        torch.cat([own.base_log for own in found]),
        found[0].num_dims,
    )
