"""Parametric models of the same size as a memory: same parameters, or same work per target.

Shapes: W window, D dimensions.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import nn

from engram_audio.densities.config import AnyHead, FlowHead
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.trunks import Mlp, SharedFrames
from engram_audio.memory.density import MemoryDensity
from engram_audio.memory.joint import EngramDensity

SMALLEST_WIDTH = 8


class Budget(NamedTuple):
    """What a predictor holds and does.

    Attributes:
        parameters: Numbers fitted: weights, tables, codes, linear maps.
        flops: Multiplications and additions of one target's conditional law.
    """

    parameters: int
    flops: int


class Matched(NamedTuple):
    """A head of nearly a budget.

    Attributes:
        head: Its settings.
        budget: What it holds and does.
        is_capped: Whether the widest allowed model is still smaller than the budget.
    """

    head: AnyHead
    budget: Budget
    is_capped: bool


def head_budget(model: ConditionalDensity) -> Budget:
    """Return what a trained head (with its linear base) holds and does."""
    base = 0 if model.base.order == 0 else model.base.weight.numel()
    trunk = model.trunk
    if not isinstance(trunk, Mlp | SharedFrames):
        inner = sum(p.numel() for p in model.parameters())
        return Budget(base + inner, 2 * (base + inner))
    parameters = sum(p.numel() for p in model.parameters())
    return Budget(base + parameters, 2 * base + trunk_flops(trunk, _window(trunk)))


def _window(trunk: Mlp | SharedFrames) -> int:
    first = next(m for m in trunk.hidden.modules() if isinstance(m, nn.Linear))
    width = trunk.embed.out_features // 3 if isinstance(trunk, SharedFrames) else None
    return first.in_features // (width or len(trunk.inputs.frame_mean))


def trunk_flops(trunk: Mlp | SharedFrames, window_frames: int) -> int:
    """Return the work of a trunk per target; shared layers count once per frame."""
    total = 0
    shared = (trunk.embed, *trunk.mix.modules()) if isinstance(trunk, SharedFrames) else ()
    for module in trunk.modules():
        if isinstance(module, nn.Linear):
            times = window_frames - 1 if any(module is part for part in shared) else 1
            total += 2 * times * module.weight.numel()
    return total


def memory_budget(model: MemoryDensity | EngramDensity) -> Budget:
    """Return what a memory with its base holds and does."""
    if isinstance(model, MemoryDensity):
        key, base = model.lookup.key, head_budget(model.base)
        # a shared spread and weight are one row, whatever is stored
        table = model.means[:-1].numel() + _distinct(model.log_sds[:-1]) + _distinct(model.weights)
        read = 6 * model.lookup.num_neighbors * model.means.shape[1]
        return Budget(base.parameters + key.num_values + table, base.flops + key.flops + read)
    trunk, module = model.engram_trunk, model.engram_trunk.engram
    inner = ConditionalDensity(model.base, trunk.inner, model.head)
    plain = head_budget(inner)
    key = trunk.key
    added = sum(p.numel() for p in module.parameters()) + sum(
        p.numel() for p in trunk.positions.parameters()
    )
    taps = module.convolution.kernel_size[0]
    dense = module.key.weight.numel() + module.value.weight.numel()
    work = taps * (key.flops + 2 * (dense + trunk.positions.weight.numel()))
    return Budget(plain.parameters + added + key.num_values, plain.flops + work)


def _distinct(table: torch.Tensor) -> int:
    """Numbers in a table, counting a row that all slots share once."""
    is_shared = bool((table == table[:1]).all())
    return table[:1].numel() if is_shared else table.numel()


def widened(head: AnyHead, width: int) -> AnyHead:
    """Return a head with wider hidden layers.

    The embedding of a frame grows along, or a wide net would look through a narrow slit.
    """
    narrow = head.trunk.frame_width
    frame_width = max(narrow, narrow * width // head.trunk.width)
    trunk = head.trunk.model_copy(update={"width": width, "frame_width": frame_width})
    return head.model_copy(update={"trunk": trunk})


def match_width(
    head: AnyHead,
    build: Callable[[AnyHead], ConditionalDensity],
    budget: int,
    measure: Callable[[Budget], int],
    maximum_width: int,
) -> Matched:
    """Return the head whose trunk width comes closest to a budget from below.

    Args:
        head: The family; its trunk width is replaced.
        build: Builds an untrained model of settings.
        budget: Parameters or FLOPs to match.
        measure: Which of the two.
        maximum_width: Widest trunk.
    """
    if isinstance(head, FlowHead):
        raise ValueError("a flow has no trunk width to match; name another head in memory_controls")

    def of(width: int) -> Matched:
        own = widened(head, width)
        return Matched(own, head_budget(build(own)), False)

    low, high = SMALLEST_WIDTH, maximum_width
    widest = of(high)
    if measure(widest.budget) < budget:
        return widest._replace(is_capped=True)
    while low < high:
        middle = (low + high + 1) // 2
        if measure(of(middle).budget) <= budget:
            low = middle
        else:
            high = middle - 1
    return of(low)
