"""A verdict row in parts: word, first sentence, number, and what stands beside the number."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from engram_audio.verdicts import number
from engram_audio.verdicts.headline import NO, YES
from engram_audio.verdicts.row import NOT_RUN, VerdictRow
from engram_audio.verdicts.words import OF_GENERATION, OF_KEYS, OF_STRUCTURE

# Longest first, so that "PROCEED, heads not run" is not read as "PROCEED".
WORDS = tuple(
    sorted({*OF_STRUCTURE, *OF_KEYS, *OF_GENERATION, YES, NO, NOT_RUN}, key=len, reverse=True)
)
# A sentence ends with a full stop before a capital letter; "0.5" and "x.y" hold no end.
END = re.compile(r"(?<=[.!?])\s+(?=[A-Z])|;\s")


def answer_word(row: VerdictRow) -> str:
    """Return the word with which the answer to a question of the chain begins; else its outcome."""
    return next((word for word in WORDS if row.sentence.startswith(word)), row.outcome)


def rest_of_answer(row: VerdictRow) -> str:
    """Return the answer without its word."""
    return row.sentence.removeprefix(answer_word(row)).lstrip(":. ")


def first_sentence(text: str) -> str:
    """Return the first sentence of a text."""
    return END.split(text, maxsplit=1)[0]


class Numbers(NamedTuple):
    """What a short answer shows.

    Attributes:
        own: The rows with a number, the answer's own first.
        names: What each of them measures, or "" where the answer says so.
    """

    own: list[VerdictRow]
    names: list[str]


def numbers_of(answer: VerdictRow, stage_rows: Sequence[VerdictRow]) -> Numbers:
    """Return the rows whose numbers tell an answer of the chain.

    Question 1 shows the chosen key's added fraction, with the key and its lag, and the heads' gain
    on the same frames beside it. An answer without a number shows that of the row that decided.

    Args:
        answer: The row of the chain.
        stage_rows: Rows of the stage that answers it.
    """
    own = [row for row in stage_rows if row.subject == answer.subject and row.has_number]
    if not answer.has_number:
        deciding = [row for row in own if row.is_deciding][:1]
        return Numbers(deciding, [_place(row)[0] for row in deciding])
    size = next((row for row in own if _is_size(row, answer)), None)
    if size is None:
        return Numbers([answer], [""])
    _, key, lag, *on = _place(size)
    heads = [row for row in own if _place(row)[0] == "heads gain" and _place(row)[2:] == on][:1]
    return Numbers([answer, *heads], [f"{key}, {lag}", *["heads"] * len(heads)])


def _place(row: VerdictRow) -> list[str]:
    return row.case.split(" · ")


def _is_size(row: VerdictRow, answer: VerdictRow) -> bool:
    return _place(row)[0] == "added fraction" and row.measured.value == answer.measured.value


def number_words(row: VerdictRow) -> str:
    """Return a number with its interval and unit; "" where there is none."""
    if not row.has_number:
        return ""
    value, low, high = row.measured
    text = number.plain(value) if low == high else number.interval(value, low, high)
    return " ".join(filter(None, (text, row.unit)))
