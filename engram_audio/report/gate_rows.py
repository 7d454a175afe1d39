"""Gate rows of decision.json as the page shows them."""

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from engram_audio.report import number
from engram_audio.report.table_view import outcome_class

STRIP_WIDTH = 200.0
STRIP_MARGIN = 6.0
INFORMATION = "beside"  # a row that stands beside the others and judges nothing


class Strip(NamedTuple):
    """Positions in a small drawing of an interval against its threshold or thresholds."""

    low: float
    high: float
    value: float
    thresholds: list[float]


class GateRowView(NamedTuple):
    """One row: outcome, sentence, where, numbers, what was asked, drawing."""

    outcome: str
    mark: str
    sentence: str
    where: str
    numbers: str
    asked: str
    strip: Strip | None


def interval_of(row: dict[str, Any]) -> tuple[float, float]:
    """Return the ends of a row's interval, NaN where it has none."""
    ends = row.get("interval")
    if not isinstance(ends, list | tuple) or len(ends) != 2:
        return math.nan, math.nan
    return number.as_float(ends[0]), number.as_float(ends[1])


def view_row(row: dict[str, Any]) -> GateRowView:
    """Return one gate row for its template."""
    outcome = str(row.get("outcome") or INFORMATION)
    low, high = interval_of(row)
    threshold = number.as_float(row.get("threshold"))
    decimals = max(threshold_decimals(threshold) + 1, number.decimals_of_width(high - low))
    reason = row.get("reason")
    sentence = str(row.get("sentence") or row.get("quantity") or row.get("name") or "")
    if reason and str(reason) not in sentence:
        sentence = f"{sentence} ({reason})"
    is_within = row.get("direction") == "within"
    thresholds = [1 - threshold, 1 + threshold] if is_within else [threshold]
    return GateRowView(
        outcome=outcome,
        mark=outcome_class(outcome),
        sentence=sentence,
        where=place_of(row, sentence),
        numbers=number.interval(row.get("value"), low, high, decimals),
        asked=asked_words(outcome, row.get("direction"), threshold),
        strip=strip_of(number.as_float(row.get("value")), low, high, thresholds),
    )


def view_rows(rows: Iterable[dict[str, Any]]) -> list[GateRowView]:
    """Return gate rows for their template."""
    return [view_row(row) for row in rows]


def asked_words(outcome: str, direction: Any, threshold: float) -> str:
    """Return what a row asks for, `asked: above 0.02`; the null of a row that only informs."""
    if math.isnan(threshold):
        return ""
    text = number.fixed(threshold, threshold_decimals(threshold))
    if outcome == INFORMATION:
        return f"null: {text}"
    if direction == "within":
        return f"asked: within 1 ± {text}"
    return f"asked: {direction} {text}" if direction else f"asked: {text}"


def place_of(row: dict[str, Any], sentence: str) -> str:
    """Return where a row was measured; what its sentence says already is not repeated."""
    parts = [str(row.get("name") or row.get("quantity") or "").replace("_", " ")]
    parts += [str(row[name]) for name in ("representation", "key") if row.get(name)]
    if row.get("key") and str(row["key"]) in sentence:
        parts.pop()
    else:
        parts.append(f"lag {number.count(row.get('lag'))}")
        parts.append(f"slice {row.get('slice')}")
    if row.get("split_seed") is not None:
        parts.append(f"split {number.count(row['split_seed'])}")
    return " · ".join(part for part in parts if part)


def threshold_decimals(threshold: float) -> int:
    """Return how many decimals a configured threshold needs (up to 4); 2 where there is none."""
    if math.isnan(threshold):
        return 2
    for decimals in range(5):
        if math.isclose(round(threshold, decimals), threshold, abs_tol=1e-12):
            return decimals
    return 4


def strip_of(value: float, low: float, high: float, thresholds: list[float]) -> Strip | None:
    """Scale an interval and its thresholds to the strip; None where there is no finite interval."""
    if not all(map(math.isfinite, (value, low, high))):
        return None
    asked = [threshold for threshold in thresholds if math.isfinite(threshold)]
    points = [value, low, high, *asked]
    smallest, largest = min(points), max(points)
    span = (largest - smallest) or 1.0

    def place(point: float) -> float:
        inner = STRIP_WIDTH - 2 * STRIP_MARGIN
        return round(STRIP_MARGIN + inner * (point - smallest) / span, 1)

    return Strip(place(low), place(high), place(value), [place(threshold) for threshold in asked])
