"""What the configuration checks with: choices with their nearest match, and a bound on its size."""

import difflib
import itertools
from collections.abc import Iterable
from typing import Any

from engram_audio.errors import InputError

MAXIMUM_VALUES = 100_000
MAXIMUM_DEPTH = 50


def require(key: str, value: object, allowed: Iterable[object]) -> None:
    """Refuse a value that is not allowed.

    Raises:
        ValueError: Names the key, the value, what is allowed and the nearest of it.
    """
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(f"{key}: {value!r} is not one of {choices(value, allowed)}")


def choices(value: object, allowed: Iterable[object]) -> str:
    """Return what is allowed, in words, with the nearest match."""
    names = [str(name) for name in allowed]
    nearest = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{', '.join(names) or '(none)'}{hint}"


def require_bounded(raw: Any) -> None:
    """Refuse what YAML aliases blow up or tie in a circle, before it is written out."""
    level, num_values = [raw], 0
    for _ in range(MAXIMUM_DEPTH):
        num_values += len(level)
        if not level:
            return
        if num_values > MAXIMUM_VALUES:
            break
        parts = (
            node.values() if isinstance(node, dict) else node
            for node in level
            if isinstance(node, dict | list | tuple)
        )
        level = list(itertools.islice(itertools.chain.from_iterable(parts), MAXIMUM_VALUES + 1))
    raise InputError(
        f"configuration: more than {MAXIMUM_VALUES} values or {MAXIMUM_DEPTH} levels, aliases "
        "written out; use fewer YAML aliases"
    )
