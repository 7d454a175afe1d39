"""States of the backbone before and after each block, of frames that are scored.

Shapes: N rows of a block, M rows wanted, H width.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from engram_audio import windows
from engram_audio.generation.frame_scores import padded_rows, whole_block
from engram_audio.generation.model import Generator
from engram_audio.latents.block import LatentBlock

EMBEDDED = "block_0"


@contextmanager
def _watched(model: Generator) -> Iterator[dict[str, Tensor]]:
    """Hold the states that the next pass makes: embedded frames, then after each block."""
    seen: dict[str, Tensor] = {}

    def watch(name: str, num_leading: int):
        def keep(module: object, given: object, made: object) -> None:
            del module, given
            hidden = made[0] if isinstance(made, tuple) else made
            assert isinstance(hidden, Tensor)
            seen[name] = hidden[:, num_leading:]

        return keep

    hooks = [model.backbone.embed.register_forward_hook(watch(EMBEDDED, 0))]
    for number, block in enumerate(model.backbone.blocks):
        hooks.append(block.register_forward_hook(watch(f"block_{number + 1}", 1)))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@torch.no_grad()
def states_of(
    model: Generator, block: LatentBlock, rows: np.ndarray, codes: Tensor | None,
    batch_utterances: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Return the states at some rows of a block by name, [M, H].

    Args:
        model: A generator on its device, in evaluation mode.
        block: Whole utterances.
        rows: Ascending, [M].
        codes: Codes of all rows, [N]; None lets the model find its own.
        batch_utterances: Utterances at a time.
    """
    data, device = whole_block(block), model.mean.device
    utterance = windows.utterance_of_rows(block.offsets, rows)
    names = np.unique(utterance)
    found: dict[str, list[np.ndarray]] = {}
    for low in range(0, len(names), batch_utterances):
        own = names[low : low + batch_utterances]
        seen_rows = padded_rows(block.offsets, own)
        from_rows = data.foreign_rows(seen_rows) if model.is_foreign else seen_rows
        read = None if codes is None else codes[from_rows].to(device)
        with _watched(model) as seen:
            model.features(data.frames_of(seen_rows, device), read)
        chosen = rows[np.isin(utterance, own)]
        row = np.searchsorted(own, windows.utterance_of_rows(block.offsets, chosen))
        place = chosen - block.offsets[own[row]]
        for name, hidden in seen.items():
            picked = hidden[torch.from_numpy(row).to(device), torch.from_numpy(place).to(device)]
            found.setdefault(name, []).append(picked.float().cpu().numpy())
    return {name: np.concatenate(parts) for name, parts in found.items()}
