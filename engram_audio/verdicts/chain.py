"""The questions of a study in their order, and the table that answers all of them."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import pandas as pd

from engram_audio.verdicts.columns import VERDICTS
from engram_audio.verdicts.judge import UNDECIDED, Judged
from engram_audio.verdicts.row import NOT_RUN, OUTCOMES, VerdictRow


class Question(NamedTuple):
    """What one stage asks.

    Attributes:
        stage: The stage.
        words: The question. `met` says yes.
        absent: What to say where the study does not ask it, and how to ask.
        target: What `snakemake` runs for it.
    """

    stage: str
    words: str
    absent: str
    target: str


CHAIN = (
    Question(
        "calibration", "Can this instrument be trusted?",
        "This study simulates no world with a known answer: no world is named under "
        "`calibration.worlds.names`.",
        "calibration",
    ),
    Question(
        "structure", "Does a coarse key of the past tell what a linear model does not?",
        "This study scores no key: no representation is analysed.",
        "structure",
    ),
    Question(
        "keys", "Does what context tells survive a small key?",
        "This study scores no key by its law: no representation is named under "
        "`learned_keys.representations`.",
        "keys",
    ),
    Question(
        "prediction", "Does context buy more than every null?",
        "This study has no predictions: no head is listed under `prediction.heads`, or no "
        "representation is predicted.",
        "prediction",
    ),
    Question(
        "factorizer", "Are both parts of a factoriser used, at an honest rate?",
        "This study factorises nothing: no representation is named under "
        "`factorizer.representations`.",
        "factorizer",
    ),
    Question(
        "comparison", "Does the deciding codec gain? If not, is that the codec's or audio's?",
        "This study compares no codecs: no representation is named under "
        "`comparison.representations`.",
        "codecs",
    ),
    Question(
        "memory", "Does lookup add to a parametric model?",
        "This study tries no memory: no representation is named under `memory.representations`.",
        "memory",
    ),
    Question(
        "rollout", "Does it survive free running?",
        "This study lets nothing run free: no representation is named under "
        "`rollout.representations`.",
        "rollout",
    ),
    Question(
        "generation", "Does it help a generator at equal compute?",
        "This study trains no generator: no representation is named under "
        "`generation.representations`.",
        "generation",
    ),
)  # fmt: skip
# Asked of a factoriser, and of what was expected of z_dyn.
DIRECT = "How does its bound compare with the direct predictor?"
WORDS = {question.stage: question.words for question in CHAIN}


def in_order(judged: Mapping[str, Sequence[VerdictRow]], is_whole: bool = True) -> list[VerdictRow]:
    """Return the rows of all stages in the order of the chain.

    A stage that is not among them was not run and gets one row that says so. Rows of one question
    (`is_whole` false) cannot know what the study asks, so theirs says only how to run it. A stage
    that ran and could judge nothing gets an undecided row: no question is left without a row.

    Raises:
        ValueError: A stage is no part of the chain, or a row's outcome is no word of the table.
    """
    unknown = set(judged) - set(WORDS)
    if unknown:
        raise ValueError(f"no question of the chain: {', '.join(sorted(unknown))}")
    rows = [row for question in CHAIN for row in _answers(question, judged, is_whole)]
    odd = {row.outcome for row in rows} - set(OUTCOMES)
    if odd:
        raise ValueError(f"no outcome of a verdict: {', '.join(sorted(odd))}")
    return rows


def _answers(
    question: Question, judged: Mapping[str, Sequence[VerdictRow]], is_whole: bool
) -> list[VerdictRow]:
    if question.stage not in judged:
        elsewhere = f"Not run for this page: `snakemake {question.target}` runs it."
        return [_alone(question, Judged(NOT_RUN, ""), question.absent if is_whole else elsewhere)]
    empty = _alone(question, Judged(UNDECIDED, "no number"), "No row could be judged.")
    return list(judged[question.stage]) or [empty]


def _alone(question: Question, judged: Judged, sentence: str) -> VerdictRow:
    return VerdictRow(question.stage, question.words, "", "", judged, sentence)


def verdict_table(rows: Sequence[VerdictRow]) -> pd.DataFrame:
    """Return the published table."""
    return VERDICTS.arrange(pd.DataFrame([row.record() for row in rows], columns=VERDICTS.names()))
