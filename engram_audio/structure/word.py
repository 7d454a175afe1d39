"""How rows make a word (SCIENCE 3)."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from engram_audio.structure.causes import cause_of, causes_of_heads
from engram_audio.structure.gate_row import GateRow
from engram_audio.structure.gates import ADDED, NATS
from engram_audio.verdicts.words import (
    INVALID,
    LAW_NOT_MEAN,
    NO_CONTROL,
    NO_HEADS,
    PROCEED,
    STOP,
    UNDECIDED,
    WRONG_KEY,
    WRONG_KEY_MEAN,
)


class Judged(NamedTuple):
    """A word with the rows that made it and what stands in the way of another.

    Attributes:
        word: One of `verdicts.words.OF_STRUCTURE`.
        deciding: The rows that made it so, the most telling first.
        open: What would settle an UNDECIDED, or why an INVALID has no row; empty elsewhere.
        cause: Why an UNDECIDED is open; empty elsewhere.
    """

    word: str
    deciding: list[GateRow]
    open: str = ""
    cause: str = ""


def word_of(
    rows: Sequence[GateRow],
    ruled_out: Mapping[str, GateRow | None],
    has_heads: bool,
    opposing_splits: str = "",
    laws: Mapping[str, GateRow] = MappingProxyType({}),
    unasked: str = "",
) -> Judged:
    """Make the word of a representation.

    Args:
        rows: Judged rows of the chosen key on every judged slice, and those of causality and
            overlap. Empty where no candidate is valid.
        ruled_out: Slices on which no candidate can add enough, each with its row of the heads'
            gain; None where no head was trained.
        has_heads: Whether the heads were run at all.
        opposing_splits: How other split seeds speak against a PROCEED; empty where they do not.
        laws: Rows of what keys' laws tell beside the linear base, by slice.
        unasked: The key of such a law whose own mean has no valid score; empty where all have.
    """
    short = [row for row in rows if row.slice in ruled_out and _falls_short(row)]
    below = [row for row in ruled_out.values() if row and row.outcome == "fail"]
    if below:
        return Judged(STOP, [*below, *short])
    above = [row for row in ruled_out.values() if row and row.outcome == "pass"]
    if ruled_out and len(above) == len(ruled_out):
        asked = [laws[name] for name in ruled_out if name in laws]
        return _by_law(above, asked, short, unasked)
    if ruled_out:
        return _undecided_despite_heads(ruled_out, short)
    invalid = [row for row in rows if row.outcome == "invalid"]
    if invalid or not rows:
        return Judged(INVALID, sorted(invalid, key=lambda row: bool(row.reason), reverse=True))
    doubtful = [row for row in rows if row.outcome not in ("pass", None)]
    if not doubtful:
        return _proceed(rows, has_heads, opposing_splits)
    if all(row.name == "overlap" and row.outcome == "undecided" for row in doubtful):
        missing = "no overlap control" if "no overlap control" in doubtful[0].sentence else ""
        word = NO_CONTROL if missing else UNDECIDED
        remedy = "analyse the overlap control of this representation"
        return Judged(word, doubtful, remedy, cause_of(doubtful[0]))
    first, *others = _by_doubt(doubtful)
    return Judged(UNDECIDED, [first, *others], _remedy(first), cause_of(first))


def _falls_short(row: GateRow) -> bool:
    return row.name in (ADDED, NATS) and row.outcome == "fail"


def _by_law(
    heads: Sequence[GateRow], laws: Sequence[GateRow], short: Sequence[GateRow], unasked: str
) -> Judged:
    """Tell apart a law that some key carries from a key that carries nothing.

    Where a slice has no scored law, only the mean was looked at, and the word says so. A law says
    nothing about means while its own key's mean was not asked. The rows in which the chosen key
    falls short lead where the keys are at fault.
    """
    if len(laws) < len(heads):
        return Judged(WRONG_KEY_MEAN, [*short, *heads])
    outcomes = {row.outcome for row in laws}
    if outcomes == {"pass"} and unasked:
        return Judged(
            UNDECIDED, [*laws, *heads, *short],
            f"name the family of {unasked} in structure.families, with this quantiser",
            f"the law of {unasked} tells enough, and its mean has no valid score",
        )  # fmt: skip
    if outcomes == {"pass"}:
        return Judged(LAW_NOT_MEAN, [*laws, *heads, *short])
    if outcomes == {"fail"}:
        return Judged(WRONG_KEY, [*short, *heads, *laws])
    first, *others = _by_doubt([row for row in laws if row.outcome != "pass"])
    remedy = "more eval speakers: whether a key's law carries it is open"
    if first.outcome == "fail":
        remedy = "other keys: slices differ in whether a key's law carries it"
    return Judged(UNDECIDED, [first, *others], remedy, cause_of(first))


def _proceed(rows: Sequence[GateRow], has_heads: bool, opposing_splits: str) -> Judged:
    weakest: dict[str, GateRow] = {}
    for row in sorted(rows, key=lambda row: row.margin):
        weakest.setdefault(row.name, row)
    telling = list(weakest.values())
    if opposing_splits:
        return Judged(UNDECIDED, telling, opposing_splits, "split seeds disagree")
    return Judged(PROCEED if has_heads else NO_HEADS, telling)


def _undecided_despite_heads(
    ruled_out: Mapping[str, GateRow | None], short: Sequence[GateRow]
) -> Judged:
    rows = [row for row in ruled_out.values() if row]
    doubtful = [row for row in rows if row.outcome != "pass"]
    if doubtful:
        remedy = "more eval speakers or seeds for the heads' gain"
        return Judged(UNDECIDED, [*doubtful, *short], remedy, causes_of_heads(rows))
    return Judged(
        UNDECIDED, [*rows, *short],
        "run the prediction stage: no key can add enough, and only the heads can tell whether "
        "anything beyond linear is there",
        "no key adds enough, and heads were not scored on every slice",
    )  # fmt: skip


def _by_doubt(rows: Sequence[GateRow]) -> list[GateRow]:
    """Sort what stands in the way: what fails first, then what straddles."""
    return sorted(rows, key=lambda row: (row.outcome != "fail", bool(row.reason)))


def _remedy(row: GateRow) -> str:
    if row.outcome == "fail":
        return {
            "transfer_loss": "more train speakers, or keys that shared structure reaches",
            "causality": "a representation whose frames see no later sample",
            "overlap": "a representation that overlaps less: its control carries the same",
        }.get(row.name, "other keys: the chosen one surely falls short here")
    if row.name == "transfer_loss":
        return "more frames of known speakers, so that what may be lost is known"
    return "more eval speakers"
