"""The five questions of the chain, their answers from the stages' rows, and the headline.

Beside them stand four probabilities that were written down before the first round, each with what
this study found and its log score.
"""

import math
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engram_audio.verdicts.chain import DIRECT, WORDS
from engram_audio.verdicts.headline import (
    NO,
    OF_OUTCOME,
    YES,
    Answers,
    Headline,
    headline,
)
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED, Judged, above, exact, judge
from engram_audio.verdicts.row import NOT_RUN, VerdictRow
from engram_audio.verdicts.words import (
    INVALID,
    NO_HEADS,
    OF_GENERATION,
    OF_STRUCTURE,
    WRONG_KEY_MEAN,
)
from engram_audio.verdicts.words import UNDECIDED as OPEN

STAGE = "chain"
HEADLINE = "What does this study say?"
EXPECTED = "What was expected beforehand?"
LINKS = ("structure", "prediction", "memory", "rollout", "generation")
QUESTIONS = tuple(WORDS[name] for name in LINKS)
OF_WORD = {**OF_STRUCTURE, **OF_GENERATION}
# The case of a row that is asked at one lag of several, as those of the memory stage.
OTHER_LAG = re.compile(r"lag (\d+)")
NEAREST_FIRST = (MET, UNDECIDED, NOT_MET)


class Deciding(NamedTuple):
    """The answer to one question with the row that it rests on; None where none does."""

    answer: str
    row: VerdictRow | None


class Expected(NamedTuple):
    """A probability that was written down before the first round.

    Attributes:
        words: What was expected.
        probability: Of it.
        of: Which answer settles it.
    """

    words: str
    probability: float
    of: str


BEFOREHAND = (
    Expected("context predicts", 0.55, "prediction"),
    Expected("z_dyn is more predictable than the raw latents, in units of x", 0.65, "z_dyn"),
    Expected("a lookup helps z_dyn", 0.45, "memory of z_dyn"),
    Expected("the whole beats a generator like CALM", 0.25, "generation"),
)


def chain_rows(
    rows: Sequence[VerdictRow],
    representation: str,
    lag_frames: int,
    delta_nats: float,
    states: Sequence[str] = (),
    is_of_brief: bool = True,
) -> list[VerdictRow]:
    """Return the headline, the five answers and what was expected.

    Args:
        rows: Rows of all stages.
        representation: The deciding one.
        lag_frames: Registered lag, of questions 1 and 2.
        delta_nats: Margin for nats per frame: a gain that surely lies below it is none.
        states: Representations that are a z_dyn.
        is_of_brief: Whether the study repeats the brief, for which expectations were written down.
    """
    found = deciding_of(rows, representation, lag_frames, delta_nats)
    answers = Answers(*(one.answer for one in found))
    links = [
        _link(number, question, one, representation, lag_frames)
        for number, (question, one) in enumerate(zip(QUESTIONS, found, strict=True), start=1)
    ]
    top = _headline_row(headline(answers), answers, representation)
    return [top, *links, *(_expected_rows(rows, answers, states) if is_of_brief else [])]


def with_deciding(
    rows: Sequence[VerdictRow], representation: str, lag_frames: int, delta_nats: float
) -> list[VerdictRow]:
    """Return rows of all stages in which those that answer questions 2 to 4 are marked.

    The gates of questions 1 and 5 mark the rows that decided themselves.
    """
    found = deciding_of(rows, representation, lag_frames, delta_nats)[1:4]
    places = {one.row[:4] for one in found if one.row is not None}
    return [row._replace(is_deciding=True) if row[:4] in places else row for row in rows]


def deciding_of(
    rows: Sequence[VerdictRow], representation: str, lag_frames: int, delta_nats: float
) -> list[Deciding]:
    """Return the answers to the five questions about the deciding representation, in order."""

    def of(stage: str) -> list[VerdictRow]:
        own = (representation, "") if stage == "structure" else (representation,)
        return [
            row
            for row in rows
            if row.stage == stage and row.question == WORDS[stage] and row.subject in own
        ]

    return [
        _worded(of("structure"), OF_STRUCTURE),
        any_of(
            [
                _by_equivalence(row, delta_nats)
                for row in of("prediction")
                if is_delta_at(row, lag_frames)
            ]
        ),
        any_of(of("memory")),
        any_of(of("rollout")),
        _worded(of("generation"), OF_GENERATION),
    ]


def _by_equivalence(row: VerdictRow, delta_nats: float) -> VerdictRow:
    """Return a row of the heads' gain as no where the whole interval lies below delta.

    A claim of no effect needs an interval that excludes what would matter. That it also holds 0,
    or lies a little above it, changes nothing.
    """
    if not row.measured.high < delta_nats:
        return row
    reason = f"all of it is below delta, {delta_nats:g} nats; {row.reason}"
    return row._replace(judged=Judged(NOT_MET, reason))


def is_delta_at(row: VerdictRow, lag_frames: int) -> bool:
    """Whether a row of the prediction stage is about the next step at a lag."""
    return row.case == f"xₜ \N{MINUS SIGN} xₜ₋₁ at lag {lag_frames}"


def any_of(rows: Sequence[VerdictRow]) -> Deciding:
    """Return yes where any row is met, no where all are not met, with the row that says so."""
    judged = [row for row in rows if row.outcome in OF_OUTCOME and row.outcome != NOT_RUN]
    if not judged:
        return Deciding(NOT_RUN, None)
    for outcome in NEAREST_FIRST:
        for row in judged:
            if row.outcome == outcome:
                return Deciding(OF_OUTCOME[outcome], row)
    return Deciding(INVALID, judged[0])


def _worded(rows: Sequence[VerdictRow], words: Mapping[str, str]) -> Deciding:
    """Return the answer of a stage that answers with a word."""
    found = next((row for row in rows if row.case in words), None)
    return Deciding(NOT_RUN, None) if found is None else Deciding(found.case, found)


def _link(
    number: int, question: str, one: Deciding, representation: str, lag_frames: int
) -> VerdictRow:
    outcome = OF_WORD.get(one.answer) or _outcome_of(one.answer)
    if one.row is None:
        sentence = f"{one.answer}."
        return VerdictRow(
            STAGE, question, representation, str(number), Judged(outcome, ""), sentence
        )
    row = one.row
    says_it = row.sentence.startswith(one.answer)
    lag = OTHER_LAG.fullmatch(row.case)
    differs = lag is not None and int(lag[1]) != lag_frames
    place = f"At {row.case}, where question 1 has lag {lag_frames}: " if differs else ""
    return row._replace(
        stage=STAGE,
        question=question,
        case=str(number),
        judged=Judged(outcome, row.reason),
        sentence=row.sentence if says_it else f"{one.answer}. {place}{row.sentence}",
    )


def _outcome_of(answer: str) -> str:
    return next(outcome for outcome, word in OF_OUTCOME.items() if word == answer)


def _headline_row(found: Headline, answers: Answers, representation: str) -> VerdictRow:
    outcome = OF_STRUCTURE[found.word]
    note = f" ({found.note})" if found.note else ""
    parts = [f"{found.word}{note}: {_by(found, answers)}"]
    invalid = [number for number, answer in enumerate(answers, start=1) if answer == INVALID]
    if invalid:
        parts.append(f"The answer to {_listed(invalid)} is INVALID.")
    if found.word == WRONG_KEY_MEAN:
        parts.append("Mean only: whether a key carries the spread was not asked.")
    if found.word == NO_HEADS:
        parts.append("No density head was trained, so nothing tells what else there is.")
    if found.opposites:
        parts.append(f"The answer to {_listed(found.opposites)} says the opposite.")
    absent = [number for number, answer in enumerate(answers, start=1) if answer == NOT_RUN]
    if absent:
        parts.append(f"Not run: {_listed(absent)}.")
    return VerdictRow(
        STAGE, HEADLINE, representation, found.word, Judged(outcome, found.note), " ".join(parts)
    )


def _by(found: Headline, answers: Answers) -> str:
    if not found.question:
        return "no question decides."
    is_open = answers[found.question - 1] == OPEN
    return f"question {found.question} {'is open' if is_open else 'decides'}."


def _listed(numbers: Sequence[int]) -> str:
    return (
        f"question {numbers[0]}"
        if len(numbers) == 1
        else ("questions " + ", ".join(str(number) for number in numbers))
    )


def _expected_rows(
    rows: Sequence[VerdictRow], answers: Answers, states: Sequence[str]
) -> list[VerdictRow]:
    of_states = [
        row
        for row in rows
        if row.stage == "memory" and row.question == WORDS["memory"] and row.subject in states
    ]
    found = {
        "prediction": answers.prediction,
        "z_dyn": _bound_beats_direct(rows),
        "memory of z_dyn": any_of(of_states).answer,
        "generation": _of_generation(answers.generation),
    }
    return [_expected(one, found[one.of]) for one in BEFOREHAND]


def _of_generation(answer: str) -> str:
    """Return yes or no to a gain of the whole: what question 5 answered, whoever decided."""
    return OF_OUTCOME[OF_GENERATION.get(answer, NOT_RUN)]


def _bound_beats_direct(rows: Sequence[VerdictRow]) -> str:
    """Return whether a factoriser's bound on x surely beats the best direct predictor."""
    asked = above(0.0)
    found = [
        row._replace(judged=judge(row.measured, asked)) for row in rows if row.question == DIRECT
    ]
    return any_of(found).answer


def log_score(probability: float, answer: str) -> float:
    """Return ln of the probability that was given to what happened; NaN where nothing did."""
    if answer == YES:
        return math.log(probability)
    return math.log(1 - probability) if answer == NO else math.nan


def _expected(one: Expected, answer: str) -> VerdictRow:
    score = log_score(one.probability, answer)
    score_words = f", log score {score:.2f}" if math.isfinite(score) else ""
    sentence = f"{one.words[:1].upper()}{one.words[1:]}: expected with {one.probability:g}. "
    return VerdictRow(
        STAGE, EXPECTED, "", one.words, Judged(_outcome_of(answer), ""),
        f"{sentence}Found: {answer}{score_words}.", exact(one.probability),
    )  # fmt: skip
