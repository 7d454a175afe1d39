"""What scoring, budgets and rollouts ask of a model with a memory.

Shapes: B targets.
"""

from collections.abc import Callable
from typing import Protocol, cast

from torch import Tensor, nn

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Budget
from engram_audio.keys.encoder import KeyEncoder


class Memory(Protocol):
    """A density that reads slots of a table by a key.

    Attributes:
        key: The key.
        num_states: How many of the newest states it reads.
        num_slots: Slots of its table.
        gate: Gives the weight of what is read, [B].
        is_hit: Tells whether train has seen the key, of any order, bool, [B].
        is_first_hit: Tells whether train has seen the key of the highest order, bool, [B].
        slots_read: Gives the slots that are read first, [B] or more; `num_slots` and above: a miss.
        budget: Says what the memory and its base hold and do.
    """

    num_states: int
    num_slots: int
    gate: Callable[[Batch], Tensor]
    is_hit: Callable[[Batch], Tensor]
    is_first_hit: Callable[[Batch], Tensor]
    slots_read: Callable[[Batch], Tensor]
    budget: Callable[[], Budget]

    @property
    def key(self) -> KeyEncoder:
        """See the class."""
        ...


def memory_of(model: nn.Module) -> Memory | None:
    """Return a model as one with a memory, or None where it has none."""
    return cast(Memory, model) if hasattr(model, "slots_read") else None
