"""What the comparison answers: is a null result the deciding codec's, or audio's?

Only rows with intervals may say so.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.structure.config import DecisionSection
from engram_audio.verdicts import number
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import (
    MET,
    NOT_MET,
    UNDECIDED,
    Asked,
    Judged,
    Measured,
    above,
    judge,
)
from engram_audio.verdicts.row import VerdictRow

STAGE = "comparison"
UNMEASURED = "not measured"
Row = Mapping[str, Any]


class Quantity(NamedTuple):
    """One quantity in which a result may be null.

    Attributes:
        column: Column of codecs.csv, with `_low` and `_high`.
        asked: What counts as something.
        words: The quantity, in words.
        unit: Its unit.
    """

    column: str
    asked: Asked
    words: str
    unit: str


def quantities(registered: DecisionSection) -> list[Quantity]:
    """Return what is asked of every codec; the threshold of keys is the registered gate's."""
    minimum = registered.operative_gate.minimum_added_fraction
    return [
        Quantity(
            "added_fraction", above(minimum), "what the chosen key adds to a linear model, as a "
            "share of what its cells could", "",
        ),
        Quantity(
            "gain_bits_per_s", above(0.0), "what the best head gains over the best null", "bits/s",
        ),
    ]  # fmt: skip


def verdict_rows(codecs: pd.DataFrame, registered: DecisionSection) -> list[VerdictRow]:
    """Return one answer per quantity, for the deciding representation.

    Args:
        codecs: `tables/codecs.csv`.
        registered: What was fixed before looking.
    """
    return [
        answer(codecs, registered.representation, quantity) for quantity in quantities(registered)
    ]


def measured_of(row: Row, quantity: Quantity) -> Measured:
    """Return a row's value of a quantity with its interval."""
    ends = (number.as_float(row[f"{quantity.column}{end}"]) for end in ("", "_low", "_high"))
    return Measured(*ends)


def state_of(row: Row, quantity: Quantity) -> str:
    """Return `met`, `not met`, `undecided`, or UNMEASURED where there is no interval."""
    measured = measured_of(row, quantity)
    if not all(map(math.isfinite, measured)):
        return UNMEASURED
    return judge(measured, quantity.asked).outcome


def is_plain(row: Row) -> bool:
    """Whether a row is a causal codec's latents, or all of them at another rate."""
    is_noisy = math.isfinite(number.as_float(row["noise_to_signal"]))
    return str(row["is_causal"]) == "True" and not is_noisy and row["resampled"] != "average"


def answer(codecs: pd.DataFrame, representation: str, quantity: Quantity) -> VerdictRow:
    """Return the answer for the deciding representation, with its interval.

    Rows of the same family are no other codecs. Neither are rows that see later frames, that noise
    was added to, or that are averages over time.
    """
    rows = {
        str(row["representation"]): {str(k): v for k, v in row.items()}
        for row in codecs.to_dict("records")
    }
    absent = dict.fromkeys(map(str, codecs.columns), math.nan)
    own, others = rows.get(representation, absent), _others(rows, representation, quantity)
    state = state_of(own, quantity)
    reason, sentence = _attribution(representation, state, others)
    return VerdictRow(
        STAGE,
        WORDS[STAGE],
        representation,
        quantity.words,
        Judged(UNDECIDED if state == UNMEASURED else state, reason),
        f"Is a null result the codec's, or audio's? {sentence}",
        measured_of(own, quantity),
        quantity.asked,
        quantity.unit,
    )


def _others(
    rows: Mapping[str, Row], representation: str, quantity: Quantity
) -> dict[str, list[str]]:
    """Return the rows that count as other codecs, by their state."""
    found: dict[str, list[str]] = {MET: [], NOT_MET: [], UNDECIDED: [], UNMEASURED: []}
    if representation not in rows:
        return found
    family = str(rows[representation]["family"])
    for name, row in rows.items():
        if str(row["family"]) != family and is_plain(row):
            found[state_of(row, quantity)].append(name)
    return found


def _attribution(name: str, own: str, others: Mapping[str, list[str]]) -> tuple[str, str]:
    """Return whose a null result is, and the sentence."""
    if own == UNMEASURED:
        return "no interval", f"Open: {name} has no row with an interval here."
    if own == MET:
        return "no null result", f"There is none to explain: {name} gains."
    if own == UNDECIDED:
        return "open", f"Open: {name} may gain or not; its interval holds both."
    num_judged = sum(len(others[state]) for state in (MET, NOT_MET, UNDECIDED))
    missing = f"; not measured: {_names(others[UNMEASURED])}" if others[UNMEASURED] else ""
    if others[MET]:
        count = f"{len(others[MET])} of {num_judged} rows of other codecs{missing}"
        found = _names(others[MET])
        return "the codec's", f"{name}'s own: {found} gains where it does not ({count})."
    if others[UNDECIDED]:
        return "open elsewhere", f"Open: {name} gains nothing, {_names(others[UNDECIDED])} may."
    if not others[NOT_MET]:
        return "open elsewhere", f"Open: {name} gains nothing, and no other codec was measured."
    found = _names(others[NOT_MET])
    return "audio's", (
        f"Audio's, as far as these {num_judged} rows reach: nor does {found} gain{missing}."
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(names)
