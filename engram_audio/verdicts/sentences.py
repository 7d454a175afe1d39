"""A verdict row in parts: the word of its answer, and the first sentence after it."""

import re

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
