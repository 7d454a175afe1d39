"""A table of which a step touches few rows: its gradient and its optimiser are sparse."""

from torch import nn


class SparseTable(nn.Embedding):
    """Rows trained by lazy Adam at a learning rate of their own, without weight decay."""

    def __init__(self, num_rows: int, row_dims: int, learning_rate_factor: float) -> None:
        """Make the table; the factor is over the network's learning rate."""
        super().__init__(num_rows, row_dims, sparse=True)
        self.learning_rate_factor = learning_rate_factor


def sparse_tables(model: nn.Module) -> list[SparseTable]:
    """Return the sparse tables of a model, in module order."""
    return [module for module in model.modules() if isinstance(module, SparseTable)]
