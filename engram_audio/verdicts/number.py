"""Numbers as people read them: never more digits than the interval supports."""

import math
from typing import Any

MISSING = "\N{EN DASH}"
MINUS = "\N{MINUS SIGN}"


def as_float(value: Any) -> float:
    """Return a float, NaN for what is missing or is no number."""
    try:
        return float(value) if value is not None and not isinstance(value, bool) else math.nan
    except (TypeError, ValueError):
        return math.nan


def decimals_of_width(width: float) -> int:
    """Return the decimals that show an interval's width with two significant digits (0 to 6)."""
    if not math.isfinite(width) or width <= 0:
        return 3
    return min(max(1 - math.floor(math.log10(width)), 0), 6)


def fixed(value: Any, decimals: int = 3) -> str:
    """Return a number with fixed decimals; a dash where it is missing, and never `-0.00`."""
    number = as_float(value)
    if math.isnan(number):
        return MISSING
    if math.isinf(number):
        return "∞" if number > 0 else f"{MINUS}∞"
    text = f"{number:.{decimals}f}"
    if float(text) == 0:
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def interval(value: Any, low: Any, high: Any, decimals: int | None = None) -> str:
    """Return `value [low, high]` with the decimals that the width supports, or as many as asked.

    A side that is missing shows as a dash; without both sides only the value is given.
    """
    lower, upper = as_float(low), as_float(high)
    if math.isnan(lower) and math.isnan(upper):
        return fixed(value, 3 if decimals is None else decimals)
    if decimals is None:
        decimals = decimals_of_width(upper - lower)
    return f"{fixed(value, decimals)} [{fixed(lower, decimals)}, {fixed(upper, decimals)}]"


def count(value: Any) -> str:
    """Return a whole number with thin spaces between thousands."""
    number = as_float(value)
    if not math.isfinite(number):
        return MISSING
    return f"{round(number):,}".replace(",", "\N{NARROW NO-BREAK SPACE}").replace("-", MINUS)


def percent(value: Any, decimals: int = 1) -> str:
    """Return a share as percent."""
    number = as_float(value)
    return MISSING if math.isnan(number) else f"{fixed(100 * number, decimals)} %"


def duration(seconds: Any) -> str:
    """Return seconds as `3.2 s`, `4 min 05 s` or `2 h 07 min`."""
    number = as_float(seconds)
    if not math.isfinite(number):
        return MISSING
    if number < 60:
        return f"{number:.1f} s"
    minutes, rest = divmod(round(number), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def yes(value: Any) -> str:
    """Return `yes` for true and nothing for false or missing; a CSV holds them as words."""
    return "yes" if str(value) == "True" else ""


def yes_or_no(value: Any) -> str:
    """Return `yes` or `no`."""
    return yes(value) or "no"


def words(value: Any) -> str:
    """Return a name as words; nothing where it is missing."""
    return "" if value is None or value != value else str(value).replace("_", " ")


def plain(value: Any) -> str:
    """Return any cell as text; missing as a dash, whole floats without a fraction."""
    match value:
        case float() if not math.isnan(value):
            return f"{value:.4g}".replace("-", MINUS)
        case None | float():
            return MISSING
    return str(value)
