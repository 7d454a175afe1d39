"""Is a null result the deciding codec's, or audio's? Only rows with intervals may say so."""

import math
from typing import Any, NamedTuple

import pandas as pd

from engram_audio.report import number
from engram_audio.report.gate_rows import GateRowView, strip_of

YES, NO, OPEN, UNMEASURED = "gains", "gains nothing", "open", "not measured"


class Question(NamedTuple):
    """One quantity in which a result may be null.

    Attributes:
        column: Column of codecs.csv, with `_low` and `_high`.
        threshold: What counts as something: the whole interval above it; below it: nothing.
        words: The quantity, in words.
        unit: Its unit.
    """

    column: str
    threshold: float
    words: str
    unit: str


def questions(registered: dict[str, Any]) -> list[Question]:
    """Return what is asked of every codec; the threshold of keys is the registered gate's."""
    minimum = number.as_float(registered["operative_gate"]["minimum_advantage"])
    return [
        Question(
            "explained_advantage", minimum, "what the registered key explains beyond the best "
            "surrogate", "",
        ),
        Question(
            "gain_bits_per_s", 0.0, "what the best head gains over the best null", "bits/s",
        ),
    ]  # fmt: skip


def state_of(row: dict[str, Any], question: Question) -> str:
    """Return YES, NO, OPEN, or UNMEASURED where there is no interval."""
    low, high = (number.as_float(row[f"{question.column}_{end}"]) for end in ("low", "high"))
    if not (math.isfinite(low) and math.isfinite(high)):
        return UNMEASURED
    if low > question.threshold:
        return YES
    return NO if high <= question.threshold else OPEN


def is_plain(row: dict[str, Any]) -> bool:
    """Whether a row is a causal codec's latents, or all of them at another rate."""
    is_noisy = math.isfinite(number.as_float(row["noise_to_signal"]))
    return str(row["is_causal"]) == "True" and not is_noisy and row["resampled"] != "average"


def answer(codecs: pd.DataFrame, representation: str, question: Question) -> GateRowView:
    """Return the sentence that answers for the deciding representation, with its interval.

    Other rows of the same family of codecs do not count as other codecs; nor do rows that see later
    frames, that noise was added to, or that are averages over time.
    """
    rows = {
        str(row["representation"]): {str(k): v for k, v in row.items()}
        for row in codecs.to_dict("records")
    }
    own = rows.get(representation, dict.fromkeys(map(str, codecs.columns), math.nan))
    others: dict[str, list[str]] = {YES: [], NO: [], OPEN: [], UNMEASURED: []}
    for name, row in rows.items():
        if representation in rows and str(row["family"]) != str(own["family"]) and is_plain(row):
            others[state_of(row, question)].append(name)
    outcome, mark, sentence = _sentence(representation, state_of(own, question), others)
    value, low, high = (number.as_float(own[f"{question.column}{e}"]) for e in ENDS)
    threshold = number.fixed(question.threshold, 2 if question.threshold else 0)
    return GateRowView(
        outcome=outcome,
        mark=mark,
        sentence=sentence,
        where=f"{representation}: {question.words}{f', {question.unit}' if question.unit else ''}",
        numbers=number.interval(value, low, high),
        asked=f"something: above {threshold}",
        strip=strip_of(value, low, high, [question.threshold]),
    )


ENDS = ("", "_low", "_high")


def _sentence(name: str, own: str, others: dict[str, list[str]]) -> tuple[str, str, str]:
    """Return outcome, colour and sentence."""
    asked = "Is a null result the codec's, or audio's?"
    if own == UNMEASURED:
        return OPEN, "open", f"{asked} Open: {name} has no row with an interval here."
    if own == YES:
        return "no null", "good", f"{asked} There is none to explain: {name} gains."
    if own == OPEN:
        return OPEN, "open", f"{asked} Open: {name} may gain or not; its interval holds both."
    judged = sum(len(others[state]) for state in (YES, NO, OPEN))
    missing = f"; not measured: {', '.join(others[UNMEASURED])}" if others[UNMEASURED] else ""
    if others[YES]:
        found = ", ".join(others[YES])
        count = f"{len(others[YES])} of {judged} rows of other codecs{missing}"
        return (
            "the codec's",
            "bad",
            f"{asked} {name}'s own: {found} gains where it does not ({count}).",
        )
    if others[OPEN]:
        found = ", ".join(others[OPEN])
        return OPEN, "open", f"{asked} Open: {name} gains nothing, {found} may."
    if not others[NO]:
        return OPEN, "open", f"{asked} Open: {name} gains nothing, and no other codec was measured."
    found = ", ".join(others[NO])
    return (
        "audio's",
        "bad",
        f"{asked} Audio's, as far as these {judged} rows reach: nor does {found} gain{missing}.",
    )
