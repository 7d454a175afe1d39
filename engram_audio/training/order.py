"""The order of the data as a pure function of (seed, step), so that a resumed run repeats it."""

import torch
from torch import Tensor

from engram_audio.numerics.seeds import step_seed


class ShuffledOrder:
    """Batches of item numbers: every epoch a new permutation, short last batches left out.

    Holds one permutation at a time (8 bytes per item).
    """

    def __init__(self, num_items: int, batch_items: int, seed: int) -> None:
        """Prepare the order.

        Raises:
            ValueError: There are no items.
        """
        if num_items < 1:
            raise ValueError("there is nothing to train on")
        self.num_items = num_items
        self.batch_items = min(batch_items, num_items)
        self.steps_per_epoch = num_items // self.batch_items
        self.seed = seed
        self._epoch = -1
        self._permutation = torch.empty(0, dtype=torch.int64)

    def batch(self, step: int) -> Tensor:
        """Return the item numbers of a step, shape [batch_items], int64."""
        epoch, position = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            generator = torch.Generator().manual_seed(step_seed(self.seed, epoch, stream=1))
            self._permutation = torch.randperm(self.num_items, generator=generator)
            self._epoch = epoch
        start = position * self.batch_items
        return self._permutation[start : start + self.batch_items]
