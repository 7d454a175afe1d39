"""Maps that may not be there: what people wrote is looked at before it is checked."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def as_map(value: Any) -> Mapping[str, Any]:
    """Return a map as it is, and an empty one for anything else."""
    return value if isinstance(value, Mapping) else {}


def map_at(raw: Any, key: str) -> Mapping[str, Any]:
    """Return the map at a dotted key; an empty one where there is none."""
    for part in key.split("."):
        raw = as_map(raw).get(part)
    return as_map(raw)


def map_in(path: Path) -> dict[str, Any]:
    """Return the map that a JSON file holds; an empty one where it is absent or holds another."""
    try:
        return dict(as_map(json.loads(path.read_text(encoding="utf-8"))))
    except (OSError, ValueError, RecursionError):
        return {}
