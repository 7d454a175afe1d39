"""What a generator carries from one frame to the next.

Shapes: B sequences, D dimensions, H width.
"""

from typing import NamedTuple

from torch import Tensor, nn

from engram_audio.generation.backbone import Cache, Prefix


class State(NamedTuple):
    """Everything that the next step needs.

    Attributes:
        num_positions: Positions that the backbone has seen; 0 before the first frame.
        recent: Newest frames, for the key and the linear base, [B, r, D]; None before the first.
        codes: Newest codes, for n-grams, [B, m]; None where there are none.
        caches: Keys and values of the backbone's blocks.
        short: Those of the short context; None where there is none, or before the first frame.
        past: Gated values that the convolutions of the memory reach, by place, [B, p, H].
        prefix: Text and speaker prompt, encoded once; None where nothing is told.
    """

    num_positions: int
    recent: Tensor | None
    codes: Tensor | None
    caches: tuple[Cache, ...]
    short: Cache | None
    past: dict[str, Tensor]
    prefix: Prefix | None = None


def lay_out_for_steps(model: nn.Module) -> None:
    """Store the weights of linear maps by input, so that a step reads each of them in order.

    A step of one sequence multiplies every weight once, and is as fast as memory is. The values
    stay as they are. A sum may be rounded in another way. A model that is stored keeps its own.
    """
    for module in model.modules():
        if isinstance(module, nn.Linear):
            module.weight.data = module.weight.data.t().contiguous().t()
