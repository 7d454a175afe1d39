"""Nats against size: nets of one family from the smallest to wide ones, and a reading between them.

Where no net fits a memory's budget, its control is read off this curve: linear in the logarithm of
the size between the two nearest nets, never beyond the ends.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.densities.config import AnyHead
from engram_audio.memory.families import SMALLEST_WIDTH, shrunk, widened

SUMS = ("num_frames", "nll")
CELL = ["part", "slice", "speaker_id"]


class Curve(NamedTuple):
    """A scored curve.

    Attributes:
        sizes: What each net holds and does, by its label: parameters, flops.
        scores: Sums: model (a label), part, slice, speaker_id, num_frames, nll.
    """

    sizes: Mapping[str, Mapping[str, int]]
    scores: pd.DataFrame


def curve_heads(head: AnyHead, widths: Sequence[int]) -> dict[str, AnyHead]:
    """Return the nets of a curve by label: the smallest of the family, then the family at widths.

    Raises:
        ValueError: The family has no trunk.
    """
    if not head.reads_trunk:
        raise ValueError("a flow has no trunk width to vary; name another head in memory.controls")
    *_, least = shrunk(head)
    nets = [widened(least, SMALLEST_WIDTH, 1), *(widened(head, width) for width in widths)]
    return {f"net_{number}": net for number, net in enumerate(nets)}


class Place(NamedTuple):
    """Where a budget lies on a curve: between two nets, at a share of the way to the second."""

    below: str
    above: str
    share: float


def place_of(sizes: Mapping[str, Mapping[str, int]], measure: str, budget: int) -> Place | None:
    """Return where a budget lies on a curve, or None where it lies beyond its ends.

    Args:
        sizes: Of each net, by label.
        measure: `parameters` or `flops`.
        budget: In the same unit.
    """
    ordered = sorted(sizes, key=lambda name: sizes[name][measure])
    held = [sizes[name][measure] for name in ordered]
    if not held or not held[0] <= budget <= held[-1]:
        return None
    above = max(int(np.searchsorted(held, budget)), 1)
    low, high = np.log(held[above - 1]), np.log(held[above])
    share = 1.0 if high == low else float((np.log(budget) - low) / (high - low))
    return Place(ordered[above - 1], ordered[above], share)


def read_off(curve: Curve, place: Place) -> pd.DataFrame:
    """Return the sums at a place of the curve: part, slice, speaker_id, num_frames, nll."""
    below, above = (
        curve.scores.loc[curve.scores["model"] == name].set_index(CELL)[list(SUMS)]
        for name in (place.below, place.above)
    )
    between = (1 - place.share) * below + place.share * above
    return between.reset_index()
