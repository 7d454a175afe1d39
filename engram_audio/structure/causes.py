"""Why rows do not decide: an interval too wide, a threshold inside it, or heads that disagree."""

import math
from collections.abc import Sequence

from engram_audio.structure.evidence import HEADS, LAW
from engram_audio.structure.gate_row import GateRow
from engram_audio.structure.gates import ADDED, NATS, TRANSFER
from engram_audio.structure.wording import (
    interval_words,
    number_words,
    percent_words,
    slice_words,
)

QUANTITIES = {
    ADDED: "the added fraction", NATS: "the added nats", TRANSFER: "the transfer loss",
    HEADS: "the heads' gain", LAW: "what a key's law tells", "overlap": "the excess over overlap",
}  # fmt: skip
IN_NATS = (NATS, HEADS, LAW)
FAULTS = {
    ADDED: "the chosen key adds too small a share, and another key may add enough",
    NATS: "the chosen key adds too few nats, and another key may add enough",
    TRANSFER: "the chosen key loses too much on speakers never heard",
    "causality": "its frames see later samples",
    "overlap": "its overlap control carries as much",
}


def cause_of(row: GateRow) -> str:
    """Return why a row that does not pass leaves the word open."""
    if row.reason:
        return row.reason
    if row.outcome == "fail":
        return FAULTS.get(row.name, f"a control adds more than 0 ({row.name})")
    return open_words(row)


def open_words(row: GateRow) -> str:
    """Return how an interval leaves its threshold open.

    An interval is too wide where its half exceeds the threshold: it could not tell a value at the
    threshold from 0. A narrower one lies close to the threshold.
    """
    what = QUANTITIES.get(row.name, row.name.replace("_", " "))
    _, low, high = row.measured
    if row.threshold is None or not (math.isfinite(low) and math.isfinite(high)):
        return row.sentence.rstrip(".")
    form = number_words if row.name in IN_NATS else percent_words
    place = "" if row.slice == "all" else f" on {slice_words(row.slice)}"
    span, threshold = interval_words(low, high, form), form(row.threshold)
    if not low <= row.threshold <= high:
        return f"{what}{place} has too wide an interval at the level shared over slices"
    is_wide = high - low > 2 * abs(row.threshold)
    how = "has too wide an interval for" if is_wide else "lies too close to"
    return f"{what}{place} {how} the threshold {threshold}: {span}"


def causes_of_heads(rows: Sequence[GateRow]) -> str:
    """Return why heads leave it open where no key adds enough: how the slices differ, or which.

    Args:
        rows: Heads' gain on each slice on which no key adds enough, none of which fails.
    """
    first = next(row for row in rows if row.outcome != "pass")
    passed = [slice_words(row.slice) for row in rows if row.outcome == "pass"]
    differs = f". On {' and '.join(passed)} heads gain" if passed else ""
    return f"no key adds enough, and {cause_of(first)}{differs}"


def shortfall_words(rows: Sequence[GateRow], share: float, nats: float) -> str:
    """Return which threshold the chosen key misses where no key adds enough, as a sentence.

    Args:
        rows: Its rows on the slices on which no key adds enough.
        share: Smallest added fraction that is asked.
        nats: Smallest added nats that are asked.
    """
    asked = {
        ADDED: f"{percent_words(share)} of the attainable", NATS: f"{number_words(nats)} nats"
    }  # fmt: skip
    found = {name: {row.outcome for row in rows if row.name == name} for name in asked}
    missed = [asked[name] for name in asked if "fail" in found[name]]
    reached = [asked[name] for name in asked if found[name] == {"pass"}]
    if not missed:
        return f"each misses {asked[ADDED]} or {asked[NATS]}."
    words = f"the chosen one surely misses {' and '.join(missed)}"
    if len(missed) == len(asked):
        return f"{words}, which the gate asks."
    ending = "and reaches" if reached else "and may reach"
    (other,) = (asked[name] for name in asked if asked[name] not in missed)
    return f"{words}, {ending} {other}. The gate asks both."
