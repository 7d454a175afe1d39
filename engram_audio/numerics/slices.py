"""Slices of targets, the same for every stage, and evenly thinned subsets of a stream.

Shapes: N frames of a block, U utterances, M targets.
"""

from collections.abc import Sequence

import numpy as np

from engram_audio import windows


def slice_masks(
    offsets: np.ndarray,
    energy: np.ndarray,
    targets: np.ndarray,
    names: Sequence[str],
    medial_range: tuple[float, float],
    energy_median: float,
) -> np.ndarray:
    """Return which targets are in which slice (SCIENCE 3), bool, shape [num_slices, M].

    Args:
        offsets: Utterance offsets of a block, [U + 1].
        energy: Energy of its frames, [N].
        targets: Rows of the targets, [M].
        names: `all`, `high_energy` (energy[t] above the median), or `initial`, `medial`, `final`
            (position (t + 1/2) / T cut at `medial_range`).
        medial_range: Where `medial` begins, and where it ends.
        energy_median: Median energy of the train targets.
    """
    low, high = medial_range
    position = windows.position_fraction(offsets, targets)
    masks = {
        "all": np.ones(len(targets), dtype=bool),
        "high_energy": energy[targets] > energy_median,
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
