"""Parametric models of the same size as a memory: same parameters, or same work per target.

A control holds at least what the memory holds, and at most 5 % more: with less it proves nothing
when it loses, with more it proves nothing when it wins. Where a budget is too small for the family
as it is, the net shrinks what is large: components, hidden layers, the embedding of a frame, and
last the linear base.
"""

from collections.abc import Callable, Iterator
from functools import cache
from typing import Literal, NamedTuple

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import AnyHead, TrunkSettings
from engram_audio.densities.density import Budget
from engram_audio.densities.factory import build_head
from engram_audio.memory.families import SMALLEST_WIDTH, shrunk, widened

LARGEST_EXCESS = 1.05  # of a control's budget over the memory's
WIDEST_TRIED_EMBEDDING = 64  # embeddings below it are tried one by one

Measure = Callable[[Budget], int]
Size = Callable[[AnyHead], Budget]


class Matched(NamedTuple):
    """A head of nearly a budget.

    Attributes:
        head: Its settings.
        budget: What it holds and does.
        misfit: Empty where it lies inside the window. `smaller`: the widest net is still smaller
            than the budget. `larger`: the smallest net beyond the budget is more than 5 % beyond.
    """

    head: AnyHead
    budget: Budget
    misfit: Literal["", "smaller", "larger"]


def size_on(base_of: Callable[[AnyHead], BaseArrays], window_frames: int, num_dims: int) -> Size:
    """Return what counts a head's numbers and work on its base, without building its trunk.

    Args:
        base_of: Gives the base of a head; asked once for each number of components and skip.
        window_frames: W.
        num_dims: D.
    """
    families: dict[tuple[int, bool], tuple[int, int, int]] = {}

    def size(head: AnyHead) -> Budget:
        kind = (head.components, head.is_linear_skip)
        if kind not in families:
            law = build_head(head, num_dims, head.components, None)
            own = sum(parameter.numel() for parameter in law.parameters())
            families[kind] = (base_of(head).weight.size, own, law.num_parameters)
        base, own, outputs = families[kind]
        trunk = trunk_size(head.trunk, window_frames, num_dims, outputs)
        return Budget(base + own + trunk.parameters, 2 * base + trunk.flops)

    return size


def trunk_size(trunk: TrunkSettings, window_frames: int, num_dims: int, num_outputs: int) -> Budget:
    """Return what a trunk holds and does: the numbers of `densities.trunks`, unbuilt.

    A search tries thousands of sizes, and a wide net takes a second to build.
    """
    width, embedding = trunk.width, trunk.frame_width
    is_shared = trunk.kind == "shared_frames"
    inputs = window_frames * (embedding if is_shared else num_dims)
    layers = [(inputs, width), *[(width, width)] * (trunk.num_layers - 1), (width, num_outputs)]
    often = []  # the embedding runs for every frame but the newest
    if is_shared:
        often = [(num_dims, 3 * embedding), (2 * embedding, embedding)]
        layers.append((num_dims, embedding))
    work = 2 * sum(rows * columns for rows, columns in layers)
    work += 2 * (window_frames - 1) * sum(rows * columns for rows, columns in often)
    return Budget(sum((rows + 1) * columns for rows, columns in (*layers, *often)), work)


def match(head: AnyHead, size: Size, budget: int, measure: Measure, maximum_width: int) -> Matched:
    """Return the head that holds a budget, and at most 5 % more: the one nearest to its family.

    Args:
        head: The family.
        size: Counts a head's numbers and work.
        budget: Parameters or FLOPs to match.
        measure: Which of the two.
        maximum_width: Widest trunk.

    Raises:
        ValueError: The family has no trunk.
    """
    if not head.reads_trunk:
        raise ValueError("a flow has no trunk width to match; name another head in memory_controls")
    widest = widened(head, maximum_width)
    if measure(size(widest)) < budget:
        return Matched(widest, size(widest), "smaller")
    above = None
    for family in shrunk(head):
        for found in _of_family(family, size, budget, measure, maximum_width):
            own = Matched(found, size(found), "")
            if measure(own.budget) <= LARGEST_EXCESS * budget:
                return own
            if above is None or measure(own.budget) < measure(above.budget):
                above = own
    assert above is not None  # the widest net is larger than the budget
    return above._replace(misfit="larger")


def _of_family(
    head: AnyHead, size: Size, budget: int, measure: Measure, maximum_width: int
) -> Iterator[AnyHead]:
    """Give the narrowest nets of at least a budget, for the embedding as it is and smaller ones."""
    along = _narrowest(lambda width: widened(head, width), size, budget, measure, maximum_width)
    if along is None:
        return
    yield along
    if head.trunk.kind != "shared_frames":
        return
    for embedding in range(min(along.trunk.frame_width, WIDEST_TRIED_EMBEDDING), 0, -1):
        of_width = lambda width, own=embedding: widened(head, width, own)  # noqa: E731
        found = _narrowest(of_width, size, budget, measure, maximum_width)
        if found is not None:
            yield found


def _narrowest(
    of_width: Callable[[int], AnyHead], size: Size, budget: int, measure: Measure, widest: int
) -> AnyHead | None:
    """Return the narrowest net of at least a budget, or None where the widest is smaller."""

    @cache
    def holds(width: int) -> bool:
        return measure(size(of_width(width))) >= budget

    if not holds(widest):
        return None
    low, high = SMALLEST_WIDTH, widest
    while low < high:
        middle = (low + high) // 2
        if holds(middle):
            high = middle
        else:
            low = middle + 1
    return of_width(low)
