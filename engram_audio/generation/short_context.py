"""The short context: one block of attention over the newest clean frames, beside the backbone.

Shapes: B sequences, T frames, D dimensions, d width.
"""

from torch import Tensor, nn

from engram_audio.generation.backbone import Block, Cache


class ShortContext(nn.Module):
    """r = block(W z) of clean frames; r is added to the backbone's state."""

    def __init__(
        self, num_dims: int, width: int, mlp_units: int, num_heads: int, context: int
    ) -> None:
        """Make the block; it has no dropout, so that clean frames stay clean."""
        super().__init__()
        self.embed = nn.Linear(num_dims, width)
        self.block = Block(width, mlp_units, num_heads, context, 0.0)

    def forward(self, z: Tensor, first: int, cache: Cache | None) -> tuple[Tensor, Cache]:
        """Return r [B, T, d] of frames in train SD [B, T, D], and what the next pass may see."""
        hidden = self.embed(z).float()
        found, held = self.block(hidden, self.block.sight(first, cache, hidden), cache)
        return found, self.block.kept(held)
