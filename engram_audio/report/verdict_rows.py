"""Rows of the verdict table as the page shows them: the only renderer, and it judges nothing."""

import math
import re
from collections.abc import Iterable
from typing import NamedTuple

from engram_audio.verdicts import number
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED
from engram_audio.verdicts.row import INVALID, NOT_RUN, SHOWN, VerdictRow

LONG_DECIMALS = re.compile(r"\d+\.\d{5,}")
STRIP_WIDTH = 200.0
STRIP_MARGIN = 6.0
MARKS = {
    MET: "good", NOT_MET: "bad", UNDECIDED: "open", INVALID: "void", SHOWN: "", NOT_RUN: "",
}  # fmt: skip


class Strip(NamedTuple):
    """Positions in a small drawing of an interval against its threshold or thresholds."""

    low: float
    high: float
    value: float
    thresholds: list[float]


class VerdictView(NamedTuple):
    """One row: outcome, colour, sentence, where and why, numbers, what was asked, drawing."""

    outcome: str
    mark: str
    sentence: str
    where: str
    numbers: str
    asked: str
    strip: Strip | None


class Group(NamedTuple):
    """The answers about one subject."""

    name: str
    rows: list[VerdictView]


def view_row(row: VerdictRow) -> VerdictView:
    """Return one row for its template."""
    value, low, high = row.measured
    bars = sorted({bar for bar in (row.asked.low, row.asked.high) if math.isfinite(bar)})
    finest = max(map(decimals_of_bar, bars), default=2)
    decimals = max(finest + 1, number.decimals_of_width(high - low))
    return VerdictView(
        outcome=row.outcome,
        mark=MARKS[row.outcome],
        sentence=row.sentence,
        where=" · ".join(part for part in (answers_words(row), *row[2:4], row.reason) if part),
        numbers=_numbers(row, decimals),
        asked=asked_words(row),
        strip=strip_of(value, low, high, bars) if high > low else None,
    )


def answers_words(row: VerdictRow) -> str:
    """Return that a row answers its stage's question, where it is the one of many that does."""
    is_answer = row.is_deciding and row.question == WORDS.get(row.stage)
    return "answers the question" if is_answer else ""


def view_rows(rows: Iterable[VerdictRow]) -> list[VerdictView]:
    """Return rows for their template."""
    return [view_row(row) for row in rows]


def by_subject(rows: Iterable[VerdictRow], also: Iterable[str] = ()) -> list[Group]:
    """Return the rows of each subject in the order of the table, then subjects without a row.

    Args:
        rows: Verdict rows.
        also: Further subjects, which have something else to show.
    """
    found: dict[str, list[VerdictView]] = {}
    for row in rows:
        found.setdefault(row.subject, []).append(view_row(row))
    for name in also:
        found.setdefault(name, [])
    return [Group(name, views) for name, views in found.items()]


def _numbers(row: VerdictRow, decimals: int) -> str:
    value, low, high = row.measured
    if not math.isfinite(value):
        return ""
    if low == high:  # counted, not estimated
        return number.plain(value)
    return number.interval(value, low, high, decimals)


def asked_words(row: VerdictRow) -> str:
    """Return what a row asks, with its unit; a bar that was computed has three digits."""
    words = LONG_DECIMALS.sub(lambda found: f"{float(found[0]):.3g}", row.asked.words)
    if not words or row.outcome == SHOWN:
        return words
    return f"asked: {words}{f' {row.unit}' if row.unit else ''}"


def decimals_of_bar(bar: float) -> int:
    """Return how many decimals a configured bar needs (up to 4)."""
    for decimals in range(5):
        if math.isclose(round(bar, decimals), bar, abs_tol=1e-12):
            return decimals
    return 4


def strip_of(value: float, low: float, high: float, bars: list[float]) -> Strip | None:
    """Scale an interval and its bars to the strip; None where there is no finite interval."""
    if not all(map(math.isfinite, (value, low, high))):
        return None
    points = [value, low, high, *bars]
    smallest, largest = min(points), max(points)
    span = (largest - smallest) or 1.0

    def place(point: float) -> float:
        inner = STRIP_WIDTH - 2 * STRIP_MARGIN
        return round(STRIP_MARGIN + inner * (point - smallest) / span, 1)

    return Strip(place(low), place(high), place(value), [place(bar) for bar in bars])
