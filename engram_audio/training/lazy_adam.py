"""Lazy Adam for sparse tables: only the rows that a step read move, with their moments."""

import math
from typing import Any

import torch
from torch import Tensor

from engram_audio.training.tables import SparseTable

FIRST_DECAY, SECOND_DECAY = 0.9, 0.999  # of the mean of gradients and of their squares
EPSILON = 1e-8


class LazyAdam:
    """Adam over the rows of one table that have a gradient.

    `torch.optim.SparseAdam` takes the same steps, bit for bit, through sparse tensors in between,
    which take most of its time. A table with row moments has one mean of squares for each row, over
    its numbers, and steps along the gradient itself: one number of state in place of 2 E.

    Attributes:
        weight: The rows, [R, E].
        state: Of the table's weight once it has moved: `step`, `exp_avg_sq` and, without row
            moments, `exp_avg`.
    """

    def __init__(self, table: SparseTable) -> None:
        """Take a table; its factor is over the network's learning rate."""
        self.weight, self._factor = table.weight, table.learning_rate_factor
        self._has_row_moments = table.has_row_moments
        self.state: dict[Tensor, dict[str, Any]] = {}

    def zero_grad(self) -> None:
        """Forget the gradient."""
        self.weight.grad = None

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Take one step at a learning rate of the network."""
        if self.weight.grad is None:
            return
        gradient = self.weight.grad.coalesce()
        rows, values = gradient.indices()[0], gradient.values()
        state = self._moments()
        state["step"] += 1
        square = state["exp_avg_sq"].index_select(0, rows)
        squares = values.square()
        if self._has_row_moments:
            squares = squares.mean(1, keepdim=True)
        square += squares.sub_(square).mul_(1 - SECOND_DECAY)
        state["exp_avg_sq"].index_copy_(0, rows, square)
        size = self._factor * rate * math.sqrt(1 - SECOND_DECAY ** state["step"])
        mean = values
        if not self._has_row_moments:
            size /= 1 - FIRST_DECAY ** state["step"]
            mean = state["exp_avg"].index_select(0, rows)
            mean += values.sub(mean).mul_(1 - FIRST_DECAY)
            state["exp_avg"].index_copy_(0, rows, mean)
        moved = mean.div(square.sqrt_().add_(EPSILON)).mul_(-size)
        self.weight.index_add_(0, rows, moved)

    def _moments(self) -> dict[str, Any]:
        if not self.state:
            weight = self.weight.detach()
            self.state[self.weight] = {"step": 0}
            if self._has_row_moments:
                self.state[self.weight]["exp_avg_sq"] = torch.zeros_like(weight[:, :1])
            else:
                for name in ("exp_avg", "exp_avg_sq"):
                    self.state[self.weight][name] = torch.zeros_like(weight)
        return self.state[self.weight]
