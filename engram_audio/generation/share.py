"""The share sweep: at one budget, how much of a generator should be rows?

A share of 0 is a model without memory. The best share is chosen on the choice part, and its depth
below a share of 0 is read on eval. Only a minimum inside, surely deeper than both ends, is called
U-shaped.

Shapes: K shares, R seeds, S speakers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram_audio.generation.gains import Gain, gain_of
from engram_audio.stats.two_way import MINIMUM_SEEDS

U_SHAPED, MORE_IS_BETTER, NONE_IS_BEST = "U-SHAPED", "THE MORE THE BETTER", "NO MEMORY IS BEST"
NOT_RESOLVED = "NOT RESOLVED"


class Sweep(NamedTuple):
    """Scores of one sweep.

    Attributes:
        shares: Asked for, ascending, the first 0, [K].
        choice_nll: Mean NLL on the choice part over seeds, [K].
        sums: Sums of the NLL on eval, [K, R, S].
        num_frames: Frames behind them, [R, S].
    """

    shares: Sequence[float]
    choice_nll: np.ndarray
    sums: np.ndarray
    num_frames: np.ndarray


class Minimum(NamedTuple):
    """Where a sweep is lowest.

    Attributes:
        best: Number of the share that is best on the choice part.
        depth: NLL at a share of 0 less that at the best, on eval.
        over_last: NLL at the largest share less that at the best.
        word: What the intervals say.
    """

    best: int
    depth: Gain
    over_last: Gain
    word: str


def minimum_of(sweep: Sweep, confidence: float) -> Minimum:
    """Return the minimum of a sweep with the intervals of its depth.

    Raises:
        ValueError: There are fewer than two shares, or the first is not 0.
    """
    if len(sweep.shares) < 2 or sweep.shares[0] != 0:
        raise ValueError(f"shares {list(sweep.shares)} must begin with 0 and have another")
    best, last = int(np.argmin(sweep.choice_nll)), len(sweep.shares) - 1

    def under(other: int) -> Gain:
        return gain_of(sweep.sums[best], sweep.sums[other], sweep.num_frames, 0.0, confidence)

    others = [under(other) for other in range(last + 1) if other != best]
    depth, over_last = under(0), under(last)
    return Minimum(best, depth, over_last, _word(best, last, depth, over_last, others))


def _word(best: int, last: int, depth: Gain, over_last: Gain, others: Sequence[Gain]) -> str:
    """Return the word; where a comparison that it needs is open, nothing is resolved."""
    if depth.num_seeds < MINIMUM_SEEDS:
        return NOT_RESOLVED
    if best in (0, last):
        word = NONE_IS_BEST if best == 0 else MORE_IS_BETTER
        return word if all(gain.low > 0 for gain in others) else NOT_RESOLVED
    return U_SHAPED if depth.low > 0 and over_last.low > 0 else NOT_RESOLVED
