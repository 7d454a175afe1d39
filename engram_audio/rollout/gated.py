"""Features with products: what curved maps are made of.

Shapes: I inputs, U units.
"""

import torch
from torch import Tensor, nn

INPUT_CLIP = 20.0  # SD beyond which inputs are squashed; far enough out to leave squares exact


class Gated(nn.Module):
    """Hidden units and products of pairs of projections, side by side.

    The mean of a curved map over a belief moves with squares of mean and spread; products say that
    directly, where hidden units have to piece it together.
    """

    def __init__(self, num_inputs: int, width: int) -> None:
        super().__init__()
        self.project = nn.Linear(num_inputs, 3 * width)
        self.hidden = nn.Linear(2 * width, width)
        self.num_outputs = 2 * width

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features, [..., 2 * U], of inputs [..., I]."""
        plain, left, right = self.project(inputs).chunk(3, -1)
        products = left * right
        features = torch.cat([nn.functional.gelu(plain), products], -1)
        return torch.cat([nn.functional.gelu(self.hidden(features)), products], -1)
