"""What scoring, budgets and rollouts ask of a model with a memory.

Shapes: B targets, D dimensions.
"""

from typing import Protocol, cast

from torch import Tensor, nn

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Budget
from engram_audio.memory.keys import KeyEncoder


class Memory(Protocol):
    """A density that reads slots of a table by a key."""

    @property
    def key(self) -> KeyEncoder:
        """The key."""
        ...

    @property
    def num_states(self) -> int:
        """How many of the newest states it reads."""
        ...

    @property
    def num_slots(self) -> int:
        """Slots of its table."""
        ...

    def gate(self, batch: Batch) -> Tensor:
        """Return the weight of what is read, [B]."""
        ...

    def is_hit(self, batch: Batch) -> Tensor:
        """Return whether train has seen the key, of any order, bool, [B]."""
        ...

    def is_first_hit(self, batch: Batch) -> Tensor:
        """Return whether train has seen the key of the highest order, bool, [B]."""
        ...

    def slots_read(self, batch: Batch) -> Tensor:
        """Return the slots that are read first, [B] or more; `num_slots` and above are misses."""
        ...

    def budget(self) -> Budget:
        """Return what the memory with its base holds and does."""
        ...


def memory_of(model: nn.Module) -> Memory | None:
    """Return a model as one with a memory, or None where it has none."""
    return cast(Memory, model) if hasattr(model, "slots_read") else None
