"""Numbers in the sentences of the decision."""

import math
from collections.abc import Callable

# Status of a key in a slice that a representation does not have.
NO_ENERGY = "not_attempted: the representation has no energies, so there is no slice of speech"


def number_words(value: float) -> str:
    """Return a ratio with three decimals, or `unknown`."""
    return f"{value:.3f}" if math.isfinite(value) else "unknown"


def percent_words(value: float) -> str:
    """Return a fraction in percent with three digits, or `unknown`."""
    if not math.isfinite(value):
        return "unknown"
    percent = 100 * value
    decimals = 0 if abs(percent) >= 100 else 1 if abs(percent) >= 10 else 2
    return f"{percent:.{decimals}f} %"


def interval_words(low: float, high: float, form: Callable[[float], str] = percent_words) -> str:
    """Return `[low, high]`, or `(no interval)` where an end does not exist."""
    if not (math.isfinite(low) and math.isfinite(high)):
        return "(no interval)"
    return f"[{form(low)}, {form(high)}]"


def slice_words(name: str) -> str:
    """Return a slice in words."""
    return {
        "all": "all frames",
        "speech": "frames of speech",
        "medial": "medial frames",
        "initial": "initial frames",
        "final": "final frames",
    }.get(name, name)
