"""Numbers in the sentences of the decision."""

import math
from collections.abc import Callable


def number_words(value: float) -> str:
    """Return a ratio with three decimals, or `unknown`."""
    return f"{value:.3f}" if math.isfinite(value) else "unknown"


def percent_words(value: float) -> str:
    """Return a fraction in percent with two to three digits, or `unknown`."""
    if not math.isfinite(value):
        return "unknown"
    percent = 100 * value
    return f"{percent:.0f} %" if abs(percent) >= 100 else f"{percent:.1f} %"


def interval_words(low: float, high: float, form: Callable[[float], str] = percent_words) -> str:
    """Return `[low, high]`, or `(no interval)` where an end does not exist."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "(no interval)"
    return f"[{form(low)}, {form(high)}]"


def slice_words(name: str) -> str:
    """Return a slice in words."""
    return {
        "all": "all frames",
        "high_energy": "high-energy frames",
        "medial": "medial frames",
        "initial": "initial frames",
        "final": "final frames",
    }.get(name, name)
