"""Cost at fixed quality: how much work a model without memory needs to score as SM does.

Models without memory, from the small one upwards, are the ladder. Between two of them the score is
linear in the log of the budget. Beyond the last one nothing is said but that.

Shapes: R seeds, S speakers, G points of the ladder.
"""

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from engram_audio.stats.estimate import t_interval
from engram_audio.stats.ratio import ratio_of_sums
from engram_audio.stats.two_way import MINIMUM_SEEDS, two_way

STEPS = 64  # between two models
INSIDE, BELOW, BEYOND = "inside", "below", "beyond"


class Point(NamedTuple):
    """A model without memory.

    Attributes:
        budget: Work of a frame, or numbers held.
        sums: Sums of the score by seed and speaker, [R, S]; lower is better.
    """

    budget: float
    sums: np.ndarray


class Multiplier(NamedTuple):
    """Budget at which the ladder scores as SM does, over SM's own.

    Attributes:
        value: The ratio; that of the smallest or largest model where the ladder is not met inside.
        low: Below it SM is surely better than the ladder. NaN where no model is surely worse, or
            with fewer than three seeds or two speakers.
        high: Above it SM is surely worse. NaN where no model is surely better.
        reach: `inside`, `below` (the smallest model scores as well) or `beyond` (no model does).
        within_margin: Budget ratio at which the ladder comes within the margin; NaN where none.
        first: Ratio of the smallest model.
        last: Ratio of the last.
    """

    value: float
    low: float
    high: float
    reach: str
    within_margin: float
    first: float
    last: float


def multiplier_of(
    sums: np.ndarray, budget: float, points: Sequence[Point], num_frames: np.ndarray, delta: float,
    confidence: float,
) -> Multiplier:  # fmt: skip
    """Return the multiplier with its interval over seeds and speakers.

    The interval holds every budget at which the ladder and SM are not told apart.

    Args:
        sums: Of SM by seed and speaker, [R, S].
        budget: Its budget.
        points: The ladder, of any order.
        num_frames: Frames behind every sum, [R, S].
        delta: Margin of the score.
        confidence: Of the interval.

    Raises:
        ValueError: There are fewer than two budgets.
    """
    ladder = sorted({point.budget: point for point in reversed(points)}.values(), key=_budget)
    if len(ladder) < 2:
        raise ValueError("a ladder needs two models")
    ratios, scores = _between(ladder)
    ratios = ratios / budget
    estimate = ratio_of_sums(scores - sums[:, None], np.broadcast_to(
        num_frames[:, None], scores.shape))  # fmt: skip
    gain = estimate.value.mean(0)  # of SM over the ladder
    met = np.flatnonzero(gain <= 0)
    reach = BEYOND if not len(met) else BELOW if met[0] == 0 else INSIDE
    low = high = math.nan
    if len(sums) >= MINIMUM_SEEDS and int(estimate.num_units.min()) > 1:
        interval = t_interval(two_way(estimate), confidence)
        low, high = _ends(ratios, interval.low, interval.high)
    return Multiplier(
        _crossing(ratios, gain), low, high, reach, _first_within(ratios, gain, delta),
        float(ratios[0]), float(ratios[-1]),
    )  # fmt: skip


def _budget(point: Point) -> float:
    return point.budget


def _between(ladder: Sequence[Point]) -> tuple[np.ndarray, np.ndarray]:
    """Return budgets [G] and sums [R, G, S] along the ladder."""
    logs = np.log([point.budget for point in ladder])
    places = np.unique(np.concatenate([np.linspace(*pair, STEPS + 1) for pair in pairwise(logs)]))
    left = np.searchsorted(logs, places, side="right").clip(1, len(logs) - 1) - 1
    share = ((places - logs[left]) / (logs[left + 1] - logs[left]))[:, None]
    sums = np.stack([point.sums for point in ladder], 1)
    return np.exp(places), (1 - share) * sums[:, left] + share * sums[:, left + 1]


def _crossing(ratios: np.ndarray, gain: np.ndarray) -> float:
    """Return where a gain first falls to 0, log-linear between points; an end where it does not."""
    met = np.flatnonzero(gain <= 0)
    if not len(met):
        return float(ratios[-1])
    place = met[0]
    if place == 0:
        return float(ratios[0])
    before, after = gain[place - 1], gain[place]
    share = before / (before - after)
    logs = np.log(ratios[place - 1 : place + 1])
    return float(np.exp(logs[0] + share * (logs[1] - logs[0])))


def _ends(ratios: np.ndarray, low: np.ndarray, high: np.ndarray) -> tuple[float, float]:
    """Return the budgets between which SM and the ladder may be equal; NaN for an open end."""
    told = np.flatnonzero(low <= 0)
    least = float(ratios[told[0]]) if len(told) else float(ratios[-1])
    better = np.flatnonzero(high >= 0)
    most = float(ratios[better[-1]]) if len(better) else float(ratios[0])
    is_open = len(better) and better[-1] == len(ratios) - 1
    return (math.nan if len(told) and told[0] == 0 else least), (math.nan if is_open else most)


def _first_within(ratios: np.ndarray, gain: np.ndarray, delta: float) -> float:
    within = np.flatnonzero(gain <= delta)
    return float(ratios[within[0]]) if len(within) else math.nan
