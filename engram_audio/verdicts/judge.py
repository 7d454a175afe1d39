"""The one judge: a measured interval against the range that is asked for.

The law is that of sets. An interval that lies inside the range meets it. An interval that shares
no point with the range does not meet it. Everything else is undecided, and so is a number without
an interval.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

MET, NOT_MET, UNDECIDED = "met", "not met", "undecided"


class Measured(NamedTuple):
    """A value and its interval; NaN where there is none."""

    value: float
    low: float
    high: float

    def __neg__(self) -> "Measured":
        """Return the value on the other side of 0, with its interval."""
        return Measured(-self.value, -self.high, -self.low)


UNMEASURED = Measured(math.nan, math.nan, math.nan)


class Asked(NamedTuple):
    """A range of numbers.

    Attributes:
        low: Its lower end, -inf where there is none.
        high: Its upper end, inf where there is none.
        has_ends: Whether the ends belong to the range.
        words: The range in words, such as `above 0.02`.
    """

    low: float
    high: float
    has_ends: bool
    words: str

    def holds(self, measured: Measured) -> bool:
        """Whether the whole interval lies inside."""
        if self.has_ends:
            return self.low <= measured.low and measured.high <= self.high
        return self.low < measured.low and measured.high < self.high

    def misses(self, measured: Measured) -> bool:
        """Whether no part of the interval lies inside."""
        if self.has_ends:
            return measured.high < self.low or self.high < measured.low
        return measured.high <= self.low or self.high <= measured.low


NOTHING_ASKED = Asked(math.nan, math.nan, False, "")


class Judged(NamedTuple):
    """An outcome and why it came about."""

    outcome: str
    reason: str


def exact(value: float) -> Measured:
    """Return a number that was counted, not estimated: its interval is the number itself."""
    return Measured(value, value, value)


def above(bar: float) -> Asked:
    """Ask for more than the bar."""
    return _asked(bar, math.inf, False, f"above {bar:g}")


def below(bar: float) -> Asked:
    """Ask for less than the bar."""
    return _asked(-math.inf, bar, False, f"below {bar:g}")


def at_least(bar: float) -> Asked:
    """Ask for the bar or more."""
    return _asked(bar, math.inf, True, f"at least {bar:g}")


def at_most(bar: float) -> Asked:
    """Ask for the bar or less."""
    return _asked(-math.inf, bar, True, f"at most {bar:g}")


def between(low: float, high: float) -> Asked:
    """Ask for a number from `low` to `high`, both allowed."""
    return _asked(low, high, True, f"from {low:g} to {high:g}")


def without_threshold(null: float) -> Asked:
    """Ask for nothing: only show the number that stands for no effect."""
    return _asked(null, null, True, f"null: {null:g}")


def _asked(low: float, high: float, has_ends: bool, words: str) -> Asked:
    if math.isnan(low) or math.isnan(high):
        raise ValueError(f"a bar must be a number, not NaN ({words})")
    if low > high:
        raise ValueError(f"a range must start with its lower end ({words})")
    return Asked(low, high, has_ends, words)


def judge(measured: Measured, asked: Asked) -> Judged:
    """Judge an interval.

    A bar that an interval touches belongs to the range only where the bar itself is allowed. More
    than .02 is asked: [.02, .03] is undecided and [.01, .02] is not met. At least .02 is asked:
    the first is met and the second is undecided.

    Returns:
        `met`, `not met` or `undecided`, with the reason.

    Raises:
        ValueError: The lower end of the interval lies above the upper end.
    """
    if not math.isfinite(measured.value):
        return Judged(UNDECIDED, "no number")
    if not (math.isfinite(measured.low) and math.isfinite(measured.high)):
        return Judged(UNDECIDED, "no interval")
    if measured.low > measured.high:
        raise ValueError(f"the ends of the interval are swapped: {measured}")
    if asked.holds(measured):
        return Judged(MET, f"all of it is {asked.words}")
    if asked.misses(measured):
        return Judged(NOT_MET, f"none of it is {asked.words}")
    return Judged(UNDECIDED, f"only a part of it is {asked.words}")


def all_of(judged: Sequence[Judged]) -> Judged:
    """Join bars that must all be met: the first fault names the outcome, then the first doubt.

    Raises:
        ValueError: There is no bar.
    """
    if not judged:
        raise ValueError("no bar to meet")
    for outcome in (NOT_MET, UNDECIDED):
        for one in judged:
            if one.outcome == outcome:
                return one
    return Judged(MET, judged[0].reason if len(judged) == 1 else "every bar is met")
