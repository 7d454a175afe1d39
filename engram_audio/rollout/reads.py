"""How a memory is read along a run: its gate and its hits, beside those on true contexts.

A memory that is read for what train has seen may miss, or be trusted less, once the run has left
the data; the true contexts of the same starts say what it would do there.

Shapes: N starts, W window, H horizon, D dimensions.
"""

import numpy as np
import torch
from torch import Tensor

from engram_audio.densities.base import Batch
from engram_audio.memory.reading import Memory
from engram_audio.rollout.measures import READS
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.simulate import Run, contexts_along


@torch.no_grad()
def read_dynamics(
    reader: Memory, starts: Starts, run: Run, batch_paths: int
) -> dict[str, np.ndarray]:
    """Return the mean gate and hit rate at every step, each [H], on run and true contexts.

    The first sample of every start that is still near the data; a horizon without any is NaN.
    """
    horizon = run.states.shape[2]
    before = torch.ones_like(run.is_alive[0])
    before[:, 1:] = run.is_alive[0][:, :-1]
    # the context of step h is true up to frame h - 1
    is_true = torch.ones_like(starts.is_true()[:, :horizon])
    is_true[:, 1:] = starts.is_true()[:, : horizon - 1]
    dreamt = contexts_along(starts, run.states[0], horizon)
    true = contexts_along(starts, starts.future[:, :horizon], horizon)
    gate, hit = _means(reader, starts, dreamt, before, batch_paths)
    gate_true, hit_true = _means(reader, starts, true, is_true, batch_paths)
    return dict(zip(READS, (gate, hit, gate_true, hit_true), strict=True))


def _means(
    reader: Memory, starts: Starts, seen: tuple[Tensor, Tensor | None], counted: Tensor,
    batch_paths: int,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    contexts, heard = seen
    horizon = contexts.shape[1]
    means = np.full((2, horizon), np.nan)
    for step in range(horizon):
        rows = torch.nonzero(counted[:, step])[:, 0]
        parts = []
        for own in rows.split(batch_paths):
            context = contexts[own, step]
            so_far = None if heard is None else heard[own, step]
            batch = Batch(context, context[:, -1], context[:, -1], starts.speaker_mean[own], so_far)
            parts.append(torch.stack([reader.gate(batch), reader.is_hit(batch).float()]))
        if parts:
            means[:, step] = torch.cat(parts, 1).double().mean(1).cpu().numpy()
    return means[0], means[1]
