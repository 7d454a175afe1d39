"""When the gate was fixed, and how often it has judged eval scores since: `registered.json`.

The driver stamps the decision section before the first job of a run, so before any eval score is
read. The step `decide` counts. No rule has the file as an input or an output, so it reruns nothing,
and a comparison of results leaves it out: it tells history, which two runs need not share.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.errors import InputError
from engram_audio.provenance import canonical_json, text_digest

NAME = "registered.json"
SCORES = "tables/structure.csv"  # what the gate judges, below the results
Entry = dict[str, Any]


def stamp(results: Path, section: Mapping[str, Any]) -> None:
    """Add the decision section to the history, unless it is the one that was stamped last.

    Raises:
        InputError: The file is not what was written.
    """
    history, digest = read_history(results), text_digest(canonical_json(section))
    if history and history[-1]["digest"] == digest:
        return
    entry = {
        "digest": digest,
        "section": dict(section),
        "num_scorings": 0,
        "is_after_scores": (results / SCORES).exists(),
    }
    _write(results, [*history, entry])


def count_scoring(results: Path) -> None:
    """Note that eval scores were judged once more; nothing where no gate was stamped."""
    history = read_history(results)
    if history:
        last = {**history[-1], "num_scorings": history[-1]["num_scorings"] + 1}
        _write(results, [*history[:-1], last])


def read_history(results: Path) -> list[Entry]:
    """Return what was stamped, the oldest first; empty where no run has stamped anything.

    Raises:
        InputError: The file is not what was written.
    """
    path = results / NAME
    if not path.exists():
        return []
    try:
        return read_json(path)["history"]
    except InputError as error:
        message = str(error).partition(";")[0]
        raise InputError(
            f"{message}; delete it, and the page says that the gate was stamped late"
        ) from None


def history_words(history: Sequence[Entry]) -> str:
    """Return when the gate was fixed, in words."""
    if not history:
        return "Nobody stamped the gate before eval scores were read."
    *earlier, last = history
    count = f"It has judged eval scores {_times(last['num_scorings'])} since."
    if last["is_after_scores"] or any(one["num_scorings"] for one in earlier):
        before = sum(one["num_scorings"] for one in earlier)
        changed = ", ".join(_changed(earlier[-1]["section"], last["section"])) if earlier else ""
        what = f" What changed: {changed}." if changed else ""
        return (
            "The gate was changed after a look: eval scores had been judged "
            f"{_times(before)} under an earlier one.{what} {count}"
        )
    return (
        f"The gate was fixed before the first eval score was read ({last['digest'][:8]}). {count}"
    )


def _changed(old: Mapping[str, Any], new: Mapping[str, Any], where: str = "decision") -> list[str]:
    """Return the keys whose values differ, each as `key: old -> new`."""
    found = []
    for name in sorted({*old, *new}):
        own, other = old.get(name), new.get(name)
        match own, other:
            case {**inner}, {**changed}:
                found += _changed(inner, changed, f"{where}.{name}")
            case _ if own != other:
                found.append(f"{where}.{name}: {own} -> {other}")
    return found


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _write(results: Path, history: Sequence[Entry]) -> None:
    results.mkdir(parents=True, exist_ok=True)
    write_json(results / NAME, {"history": list(history)})
