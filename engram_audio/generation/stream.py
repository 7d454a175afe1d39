"""What a generator carries from one frame to the next.

Shapes: B sequences, D dimensions, H width.
"""

from typing import NamedTuple

from torch import Tensor

from engram_audio.generation.backbone import Cache


class State(NamedTuple):
    """Everything that the next step needs.

    Attributes:
        num_positions: Positions that the backbone has seen; 0 before the first frame.
        recent: Newest frames, for the key and the linear base, [B, r, D]; None before the first.
        codes: Newest codes, for n-grams, [B, m]; None where there are none.
        caches: Keys and values of the backbone's blocks.
        short: Those of the short context; None where there is none, or before the first frame.
        past: Gated values that the convolutions of the memory reach, by place, [B, p, H].
    """

    num_positions: int
    recent: Tensor | None
    codes: Tensor | None
    caches: tuple[Cache, ...]
    short: Cache | None
    past: dict[str, Tensor]
