"""One judged number of a gate, and how an interval is judged."""

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

Outcome = Literal["pass", "fail", "undecided", "invalid"]
Direction = Literal["above", "below", "within"]


class Measured(NamedTuple):
    """A value and its interval; NaN where there is none."""

    value: float
    low: float
    high: float


UNMEASURED = Measured(math.nan, math.nan, math.nan)


@dataclass(frozen=True)
class GateRow:
    """One number that a verdict rests on, or that stands beside it.

    Attributes:
        name: What the row asks, one word.
        representation: Where it was measured.
        split_seed: On which split.
        key: Which key.
        lag: Lag in frames.
        slice: Slice of frames.
        quantity: What the number is (a column of the published table, where it is one).
        measured: The number and its interval.
        threshold: What it is compared with.
        direction: On which side of the threshold it has to lie; `within` is 0 -+ threshold.
        outcome: None for rows that inform and do not judge.
        reason: Why the row is invalid, or undecided whatever its interval; empty otherwise.
        sentence: The row in words.
    """

    name: str
    representation: str
    split_seed: int
    key: str
    lag: int
    slice: str
    quantity: str
    measured: Measured
    threshold: float | None
    direction: Direction | None
    outcome: Outcome | None
    reason: str
    sentence: str

    @property
    def margin(self) -> float:
        """Gap between threshold and the nearer end of the interval, in half-widths.

        Positive for rows that pass, negative for rows that fail; rows without an interval or with
        two thresholds have infinity, so that they never count as close.
        """
        _, low, high = self.measured
        if self.threshold is None or self.direction == "within" or not high > low:
            return math.inf
        gap = low - self.threshold if self.direction == "above" else self.threshold - high
        if self.outcome == "fail":
            gap = high - self.threshold if self.direction == "above" else self.threshold - low
        return gap / ((high - low) / 2)

    def document(self) -> dict[str, Any]:
        """Return the row as JSON holds it; a number that does not exist is null."""
        value, low, high = (finite_or_none(number) for number in self.measured)
        return {
            "name": self.name,
            "representation": self.representation,
            "split_seed": self.split_seed,
            "key": self.key,
            "lag": self.lag,
            "slice": self.slice,
            "quantity": self.quantity,
            "value": value,
            "interval": None if low is None or high is None else [low, high],
            "threshold": None if self.threshold is None else finite_or_none(self.threshold),
            "direction": self.direction,
            "outcome": self.outcome,
            "reason": self.reason or None,
            "sentence": self.sentence,
        }


def finite_or_none(value: float) -> float | None:
    """Return the number, or None where it is NaN or infinite."""
    return float(value) if math.isfinite(value) else None


def judge(measured: Measured, threshold: float, direction: Direction) -> Outcome:
    """Judge an interval: only one that lies wholly on one side passes or fails.

    `within` asks for 0 -+ threshold. Wholly outside is `invalid` there, because it means that the
    instrument is off, not that the answer is no. A number without an interval is `invalid`.
    """
    if not (math.isfinite(measured.low) and math.isfinite(measured.high)):
        return "invalid"
    if direction == "within":
        if -threshold < measured.low and measured.high < threshold:
            return "pass"
        return "invalid" if measured.low > threshold or measured.high < -threshold else "undecided"
    good, bad = measured.low > threshold, measured.high < threshold
    if direction == "below":
        good, bad = measured.high < threshold, measured.low > threshold
    return "pass" if good else "fail" if bad else "undecided"
