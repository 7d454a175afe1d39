"""The five answers, and the answer with which each section opens: rows of the table in parts."""

import re
from typing import NamedTuple

from engram_audio.report.data import ReportData
from engram_audio.report.verdict_rows import MARKS, asked_words
from engram_audio.verdicts.answers import STAGE as CHAIN_STAGE
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.row import NOT_RUN, SHOWN, VerdictRow
from engram_audio.verdicts.sentences import (
    answer_word,
    first_sentence,
    number_words,
    numbers_of,
    rest_of_answer,
)

# Sections that have another name than their stage.
STAGE_OF_SECTION = {"codecs": "comparison"}
# The first letter of a plain word that begins a sentence; a name with a dash or a dot stays.
START = re.compile(r"(?:^|(?<=[.] ))[a-z](?=[a-z]*[ :,])")
SECTION_OF_QUESTION = {words: stage for stage, words in WORDS.items()}


class Answer(NamedTuple):
    """One answer.

    Attributes:
        question: What was asked.
        word: The answer in one word.
        mark: Class that colours it.
        numbers: Each measured value with its interval and unit, and what it was held against.
        short: The first sentence of the answer.
        text: The whole answer.
        why: First part of the reason, where the sentence does not hold it.
        section: Name of the section that shows it.
    """

    question: str
    word: str
    mark: str
    numbers: list[tuple[str, str]]
    short: str
    text: str
    why: str
    section: str


def chain_of(data: ReportData) -> list[Answer]:
    """Return the five answers in order."""
    rows = [row for row in data.verdicts(CHAIN_STAGE) if row.case.isdigit()]
    return [_answer(data, row) for row in sorted(rows, key=lambda row: int(row.case))]


def asked_of(row: VerdictRow) -> str:
    """Return what a row with a number asks; its unit stands at the number."""
    return asked_words(row._replace(unit="")) if row.has_number and row.outcome != SHOWN else ""


def _why(row: VerdictRow, text: str) -> str:
    why = first_sentence(row.reason).rstrip(".")
    return "" if why in text else begun(why)


def begun(text: str) -> str:
    """Return a text whose sentences begin with a capital letter, where they begin with a word."""
    return START.sub(lambda found: found[0].upper(), text)


def _ended(text: str) -> str:
    return f"{text}." if text and text[-1] not in ".!?" else text


def opening_of(data: ReportData, section: str) -> Answer | None:
    """Return the answer that opens a section; None where its stage answers nothing."""
    found = next((one for one in chain_of(data) if one.section == section), None)
    if found is not None:
        return found
    stage = STAGE_OF_SECTION.get(section, section)
    row = next(iter(data.verdicts(stage)), None) if stage in WORDS else None
    return None if row is None or row.outcome == NOT_RUN else _answer(data, row)


def _answer(data: ReportData, row: VerdictRow) -> Answer:
    """Return an answer with its numbers: its own, or that of the row that decided."""
    text, section = rest_of_answer(row), SECTION_OF_QUESTION.get(row.question, "")
    shown = numbers_of(row, data.verdicts(section))
    numbers = [
        (f"{name}: {number_words(one)}" if name else number_words(one), asked_of(one))
        for one, name in zip(*shown, strict=True)
    ]
    return Answer(
        question=row.question,
        word=answer_word(row),
        mark=MARKS[row.outcome],
        numbers=numbers,
        short=_ended(begun(first_sentence(text))),
        text=text,
        why=_why(row, text),
        section=section,
    )
