"""Parametric models of the same size as a memory: same parameters, or same work per target."""

from collections.abc import Callable
from typing import NamedTuple

from engram_audio.densities.config import AnyHead
from engram_audio.densities.density import Budget, ConditionalDensity

SMALLEST_WIDTH = 8


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
    if not head.reads_trunk:
        raise ValueError("a flow has no trunk width to match; name another head in memory_controls")

    def of(width: int) -> Matched:
        own = widened(head, width)
        return Matched(own, build(own).budget(), False)

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
