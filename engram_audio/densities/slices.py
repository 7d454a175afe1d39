"""Slices of targets, as in the structure stage, and the evenly thinned subsets of them.

Shapes: M targets of one block.
"""

from collections.abc import Sequence

import numpy as np

from engram_audio import windows
from engram_audio.latents.block import LatentBlock


def slice_masks(
    block: LatentBlock,
    targets: np.ndarray,
    names: Sequence[str],
    medial_range: tuple[float, float],
    energy_median: float,
) -> np.ndarray:
    """Return which targets are in which slice, bool, shape [num_slices, M].

    `high_energy`: energy[t] above the median of the train targets. `initial`, `medial`, `final`:
    the position (t + 1/2) / T cut at `medial_range`.
    """
    low, high = medial_range
    position = windows.position_fraction(block.offsets, targets)
    masks = {
        "all": np.ones(len(targets), dtype=bool),
        "high_energy": block.energy[targets] > energy_median,
        "initial": position < low,
        "medial": (position >= low) & (position < high),
        "final": position >= high,
    }
    return np.stack([masks[name] for name in names])


class EveryNth:
    """Chooses every n-th item of a stream, n so that at most `maximum` of `total` are chosen."""

    def __init__(self, total: int, maximum: int) -> None:
        """Fix n."""
        self.stride = max(-(-total // maximum), 1)
        self._seen = 0

    def choose(self, count: int) -> np.ndarray:
        """Return the chosen positions among the next `count` items."""
        first = -self._seen % self.stride
        self._seen += count
        return np.arange(first, count, self.stride)
