"""JSON lines: one record per line, for training histories."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engram_audio.artifacts.atomic import atomic_path


def write_jsonl(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write records; NaN and infinity become null."""
    lines = [json.dumps(_finite(record), sort_keys=True, allow_nan=False) for record in records]
    with atomic_path(path) as temporary:
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _finite(record: dict[str, Any]) -> dict[str, Any]:
    bad = (float("inf"), float("-inf"))
    return {
        k: None if isinstance(v, float) and (v != v or v in bad) else v for k, v in record.items()
    }
