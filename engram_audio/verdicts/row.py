"""The row of the verdict table."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from engram_audio.verdicts.judge import (
    MET,
    NOT_MET,
    NOTHING_ASKED,
    UNDECIDED,
    UNMEASURED,
    Asked,
    Judged,
    Measured,
)

INVALID, SHOWN, NOT_RUN = "invalid", "shown", "not run"
OUTCOMES = (MET, NOT_MET, UNDECIDED, INVALID, SHOWN, NOT_RUN)
Record = dict[str, str | float | bool | None]


class VerdictRow(NamedTuple):
    """One judged answer. The columns of `verdicts.columns` describe each field.

    Attributes:
        stage: Which stage judged.
        question: What was asked.
        subject: Representation that it was asked of. Empty: the whole study.
        case: Which of several answers about the subject: a lag, a method, a key and slice.
        judged: Outcome and reason.
        sentence: The answer in words.
        measured: The number and its interval.
        asked: What it was held against.
        unit: Unit of both.
        is_deciding: In a gate of many rows: whether this row made the verdict.
    """

    stage: str
    question: str
    subject: str
    case: str
    judged: Judged
    sentence: str
    measured: Measured = UNMEASURED
    asked: Asked = NOTHING_ASKED
    unit: str = ""
    is_deciding: bool = False

    @property
    def outcome(self) -> str:
        """The outcome, one of OUTCOMES."""
        return self.judged.outcome

    @property
    def reason(self) -> str:
        """Why it came out so."""
        return self.judged.reason

    @property
    def has_number(self) -> bool:
        """Whether a number was measured."""
        return math.isfinite(self.measured.value)

    def record(self) -> Record:
        """Return the row as it is published. A number or an end that does not exist is None."""
        return {
            "stage": self.stage, "question": self.question, "subject": self.subject,
            "case": self.case, "outcome": self.outcome,
            "value": _finite(self.measured.value), "low": _finite(self.measured.low),
            "high": _finite(self.measured.high), "unit": self.unit, "asked": self.asked.words,
            "asked_low": _finite(self.asked.low), "asked_high": _finite(self.asked.high),
            "reason": self.reason, "is_deciding": self.is_deciding, "sentence": self.sentence,
        }  # fmt: skip


def shown(reason: str = "") -> Judged:
    """Return the outcome of a row that asks for nothing."""
    return Judged(SHOWN, reason)


def row_of(record: Mapping[Any, Any]) -> VerdictRow:
    """Return a row of the published table; an empty cell is an empty text or no number."""
    texts = {name: _text(record[name]) for name in ("stage", "question", "subject", "case")}
    value, low, high, asked_low, asked_high = (
        _number(record[name]) for name in ("value", "low", "high", "asked_low", "asked_high")
    )
    return VerdictRow(
        **texts,
        judged=Judged(_text(record["outcome"]), _text(record["reason"])),
        sentence=_text(record["sentence"]),
        measured=Measured(value, low, high),
        asked=Asked(asked_low, asked_high, False, _text(record["asked"])),
        unit=_text(record["unit"]),
        is_deciding=str(record["is_deciding"]) == "True",
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None


def _text(cell: Any) -> str:
    return "" if cell is None or cell != cell else str(cell)


def _number(cell: Any) -> float:
    return math.nan if cell is None else float(cell)
