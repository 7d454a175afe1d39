"""A table of which a step touches few rows: its gradient and its optimiser are sparse."""

from torch import nn


class SparseTable(nn.Embedding):
    """Rows trained by lazy Adam at a learning rate of their own, without weight decay."""

    def __init__(
        self, num_rows: int, row_dims: int, learning_rate_factor: float,
        has_row_moments: bool = False,
    ) -> None:  # fmt: skip
        """Make the table.

        Args:
            num_rows: Rows.
            row_dims: Numbers of a row.
            learning_rate_factor: Over the network's learning rate.
            has_row_moments: Whether the optimiser keeps one second moment per row, and no first.
        """
        super().__init__(num_rows, row_dims, sparse=True)
        self.learning_rate_factor, self.has_row_moments = learning_rate_factor, has_row_moments


def sparse_tables(model: nn.Module) -> list[SparseTable]:
    """Return the sparse tables of a model, in module order."""
    return [module for module in model.modules() if isinstance(module, SparseTable)]
