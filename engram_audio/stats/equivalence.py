"""Equivalence: a claim of "no effect" needs an interval inside a margin, not a large p-value."""

from typing import NamedTuple

import numpy as np

from engram_audio.stats import student_t
from engram_audio.stats.estimate import Uncertain


class Equivalence(NamedTuple):
    """Two one-sided tests.

    Attributes:
        p_value: Of "the value is at least the margin away from the target", shape [...].
        p_outside: Of "the value is within the margin", one-sided to the nearer edge, shape [...].
    """

    p_value: np.ndarray
    p_outside: np.ndarray


def two_one_sided_tests(quantity: Uncertain, target: float, margin: float) -> Equivalence:
    """Test that a value equals `target` within `margin` (TOST).

    `p_value < alpha` is the same statement as "the 1 - 2 alpha interval lies inside the margin".

    Raises:
        ValueError: The margin is not positive.
    """
    if not margin > 0:
        raise ValueError("an equivalence margin must be positive")
    with np.errstate(divide="ignore", invalid="ignore"):
        above_low = (quantity.value - (target - margin)) / quantity.se
        below_high = ((target + margin) - quantity.value) / quantity.se
    smaller = np.minimum(above_low, below_high)
    return Equivalence(student_t.above(smaller, quantity.df), student_t.below(smaller, quantity.df))
