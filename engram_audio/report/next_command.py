"""The command that follows a word, as it is typed: of a study of arrays alone."""

import shlex
from collections.abc import Mapping
from typing import Any

from engram_audio.report.data import ReportData
from engram_audio.verdicts.words import WRONG_KEY_MEAN

# What a word asks next of the same data.
ASKS = {WRONG_KEY_MEAN: "keys"}


def next_command(data: ReportData, word: str) -> str:
    """Return the command; "" where the word asks nothing, or the study is none of arrays."""
    name = data.registered["representation"]
    section = data.sections.get(f"representations.library.{name}", {})
    if word not in ASKS or section.get("kind") != "arrays" or name != "arrays":
        return ""
    return arrays_command(section, ASKS[word])


def arrays_command(section: Mapping[str, Any], asks: str) -> str:
    """Return how `make` asks one more question of the same arrays."""
    values = {"FOLDER": section["path"], "TABLE": section["table"],
              "RATE": float(section["frame_rate_hz"]), "ASK": asks}  # fmt: skip
    return " ".join(["make arrays", *(f"{k}={shlex.quote(str(v))}" for k, v in values.items())])
