"""Why rows do not decide: an interval too wide, a threshold inside it, or heads that disagree."""

import math
from collections.abc import Mapping, Sequence

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
    "control_permuted": "what the key adds with permuted labels",
    "control_swapped": "what the key adds with another utterance's labels",
}  # fmt: skip
IN_NATS = (NATS, HEADS, LAW)
FAULTS = {
    ADDED: "the chosen key adds too small a share{place}, and another key may add enough",
    NATS: "the chosen key adds too few nats{place}, and another key may add enough",
    TRANSFER: "the chosen key loses too much on speakers never heard{place}",
    LAW: "no key's law tells enough{place}",
    "causality": "its frames see later samples",
    "overlap": "its overlap control carries as much",
}
# Why a row is open whose interval holds no threshold: its outcome hangs on another number.
ELSEWHERE = {
    HEADS: "the heads' gain{place} has too wide an interval at the level shared over slices",
    LAW: "the law of the chosen key tells too little{place}, and another key's may tell enough",
}


def cause_of(row: GateRow) -> str:
    """Return why a row that does not pass leaves the word open.

    Raises:
        KeyError: The row fails, and no row of its name can.
    """
    if row.reason:
        return row.reason
    if row.outcome == "fail":
        return FAULTS[row.name].format(place=_place(row))
    return open_words(row)


def open_words(row: GateRow) -> str:
    """Return how an interval leaves its threshold open.

    An interval is too wide where its half exceeds the threshold: it could not tell a value at the
    threshold from 0. A narrower one lies close to the threshold. A control has two thresholds.
    """
    what = QUANTITIES.get(row.name, row.name.replace("_", " "))
    _, low, high = row.measured
    if row.threshold is None or not (math.isfinite(low) and math.isfinite(high)):
        return row.sentence.rstrip(".")
    form = number_words if row.name in IN_NATS else percent_words
    ends = (row.threshold, -row.threshold) if row.direction == "within" else (row.threshold,)
    held = [end for end in ends if low <= end <= high]
    if not held:
        return ELSEWHERE[row.name].format(place=_place(row))
    is_wide = high - low > 2 * abs(row.threshold)
    how = "has too wide an interval for" if is_wide else "lies too close to"
    span = interval_words(low, high, form)
    return f"{what}{_place(row)} {how} the threshold {form(held[0])}: {span}"


def _place(row: GateRow) -> str:
    return "" if row.slice == "all" else f" on {slice_words(row.slice)}"


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
    """Return which threshold the chosen key misses where no key adds enough, as sentences.

    Slices that differ have a sentence each.

    Args:
        rows: Its rows on the slices on which no key adds enough.
        share: Smallest added fraction that is asked.
        nats: Smallest added nats that are asked.
    """
    asked = {
        ADDED: f"{percent_words(share)} of the attainable", NATS: f"{number_words(nats)} nats"
    }  # fmt: skip
    slices = dict.fromkeys(row.slice for row in rows)
    on_slices = {name: _shortfall([row for row in rows if row.slice == name], asked)
                 for name in slices}  # fmt: skip
    if len(set(on_slices.values())) <= 1:
        return f"{next(iter(on_slices.values()), _shortfall([], asked))}. The gate asks both."
    first, *others = (f"n {slice_words(name)} {words}." for name, words in on_slices.items())
    return " ".join([f"o{first}", *(f"O{one}" for one in others), "The gate asks both."])


def _shortfall(rows: Sequence[GateRow], asked: Mapping[str, str]) -> str:
    """Return which threshold the chosen key misses on one slice."""
    found = {name: {row.outcome for row in rows if row.name == name} for name in asked}
    missed = [asked[name] for name in asked if "fail" in found[name]]
    if not missed:
        return f"each misses {' or '.join(asked.values())}"
    words = f"the chosen one surely misses {' and '.join(missed)}"
    for name in asked:
        if "fail" not in found[name]:
            words += f", and {'reaches' if found[name] == {'pass'} else 'may reach'} {asked[name]}"
    return words
