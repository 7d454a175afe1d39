"""The headline: one word from the answers to five questions, by one truth table (SCIENCE 12).

The decided question that stands nearest to the end speaks. A question that was not run never
decides.
"""

from collections.abc import Callable
from typing import NamedTuple

from engram_audio.verdicts.judge import MET, NOT_MET
from engram_audio.verdicts.judge import UNDECIDED as OPEN
from engram_audio.verdicts.row import INVALID as INVALID_OUTCOME
from engram_audio.verdicts.row import NOT_RUN
from engram_audio.verdicts.words import (
    COMPRESSES,
    HELPS,
    HURTS,
    INVALID,
    LAW_NOT_MEAN,
    NO_BENEFIT,
    NO_HEADS,
    PROCEED,
    STOP,
    UNDECIDED,
    WRONG_KEY,
    WRONG_KEY_MEAN,
)

YES, NO = "yes", "no"
OF_OUTCOME = {MET: YES, NOT_MET: NO, OPEN: UNDECIDED, INVALID_OUTCOME: INVALID, NOT_RUN: NOT_RUN}
OTHER_LAW = (WRONG_KEY, WRONG_KEY_MEAN, LAW_NOT_MEAN)


class Answers(NamedTuple):
    """What the five questions were answered, in their order; each may be `not run`.

    Attributes:
        structure: 1. A word of `words.OF_STRUCTURE`.
        prediction: 2. `yes`, `no`, UNDECIDED or INVALID.
        memory: 3. Likewise.
        rollout: 4. Likewise.
        generation: 5. HELPS, `HELPS, pathway not tested`, COMPRESSES, NO BENEFIT, HURTS, UNDECIDED
            or INVALID.
    """

    structure: str = NOT_RUN
    prediction: str = NOT_RUN
    memory: str = NOT_RUN
    rollout: str = NOT_RUN
    generation: str = NOT_RUN


class Rule(NamedTuple):
    """One line of the truth table; the first that holds speaks.

    Attributes:
        when: The line in words.
        holds: Whether it holds.
        word: The headline; "" takes the word of question 1.
        question: Which question decides, 1 to 5; 0: none.
        note: What the headline adds; "" nothing.
    """

    when: str
    holds: Callable[[Answers], bool]
    word: str
    question: int
    note: str = ""


RULES = (
    Rule("any question is INVALID", lambda a: INVALID in a, INVALID, 0),
    Rule("5 HELPS or COMPRESSES", lambda a: a.generation in (HELPS, COMPRESSES), PROCEED, 5,
         "in a generator"),
    Rule("5 NO BENEFIT or HURTS", lambda a: a.generation in (NO_BENEFIT, HURTS), STOP, 5),
    Rule("3 yes, 4 no", lambda a: a.memory == YES and a.rollout == NO, UNDECIDED, 4,
         "not in free running"),
    Rule("3 yes", lambda a: a.memory == YES, PROCEED, 3),
    Rule("3 no, 1 WRONG KEY or LAW, NOT MEAN",
         lambda a: a.memory == NO and a.structure in OTHER_LAW, "", 1),
    Rule("3 no", lambda a: a.memory == NO, STOP, 3, "a network of equal size does it"),
    Rule("1 STOP, 2 no", lambda a: a.structure == STOP and a.prediction == NO, STOP, 1),
    Rule("1 STOP, 2 not run", lambda a: a.structure == STOP and a.prediction == NOT_RUN,
         UNDECIDED, 1, "a STOP also needs question 2, which was not run"),
    Rule("1 STOP, 2 yes", lambda a: a.structure == STOP and a.prediction == YES, UNDECIDED, 1,
         "a STOP also needs a no from question 2, which says yes"),
    Rule("1 STOP", lambda a: a.structure == STOP, UNDECIDED, 1,
         "a STOP also needs a no from question 2, which is open"),
    Rule("1 not run", lambda a: a.structure == NOT_RUN, UNDECIDED, 0, "question 1 was not run"),
    Rule("1 PROCEED", lambda a: a.structure == PROCEED, PROCEED, 1,
         "whether a lookup helps is open"),
    Rule("anything else of 1", lambda a: True, "", 1),
)  # fmt: skip


class Headline(NamedTuple):
    """The word of a study.

    Attributes:
        word: The word.
        question: Which question decided; 0: none.
        note: What stands beside the word; "" nothing.
        opposites: Earlier questions that say the opposite.
    """

    word: str
    question: int
    note: str
    opposites: tuple[int, ...]


def headline(answers: Answers) -> Headline:
    """Return the word of a study from its answers."""
    rule = next(rule for rule in RULES if rule.holds(answers))
    word = rule.word or answers.structure
    return Headline(word, rule.question, rule.note, _opposites(answers, word, rule.question))


def _opposites(answers: Answers, word: str, question: int) -> tuple[int, ...]:
    """Return the earlier questions whose answer is the opposite of the word."""
    sign = _sign(word)
    earlier = enumerate(answers[: max(question - 1, 0)], start=1)
    return tuple(number for number, answer in earlier if sign and _sign(answer) == -sign)


def _sign(answer: str) -> int:
    if answer in (PROCEED, NO_HEADS, YES, HELPS, COMPRESSES):
        return 1
    return -1 if answer in (STOP, NO, NO_BENEFIT, HURTS, *OTHER_LAW) else 0
