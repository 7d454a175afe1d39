"""The five answers follow from the stages' rows, and so do headline and log scores."""

import math

import pytest

from engram_audio.verdicts.answers import (
    EXPECTED,
    HEADLINE,
    QUESTIONS,
    Deciding,
    any_of,
    chain_rows,
    log_score,
)
from engram_audio.verdicts.chain import CHAIN, WORDS, in_order
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED, Judged, Measured
from engram_audio.verdicts.row import NOT_RUN, VerdictRow, shown
from engram_audio.verdicts.sentences import answer_word, first_sentence, rest_of_answer
from engram_audio.verdicts.words import STOP

NAME, STATE, STEP = "codec", "codec_state", "xₜ \N{MINUS SIGN} xₜ₋₁"


def _row(stage: str, outcome: str, case: str = "", subject: str = NAME) -> VerdictRow:
    return VerdictRow(stage, WORDS[stage], subject, case, Judged(outcome, "reason"), "sentence.")


def _study(*rows: VerdictRow) -> dict[str, VerdictRow]:
    return {row.question: row for row in chain_rows(rows, NAME, 2, 0.02, [STATE])}


def test_a_study_of_nothing_says_so():
    found = _study()
    assert found[HEADLINE].case == "UNDECIDED"
    assert [found[name].outcome for name in QUESTIONS] == [NOT_RUN] * 5
    assert "Not run: questions 1, 2, 3, 4, 5" in found[HEADLINE].sentence


def test_a_word_about_the_whole_study_is_that_of_its_deciding_representation():
    """Rows of structure may name no representation; rows of other stages name one."""
    assert _study(_row("structure", MET, "PROCEED, heads not run", ""))[HEADLINE].case == (
        "PROCEED, heads not run"
    )
    for stage in ("structure", "memory"):
        found = _study(_row(stage, MET, "PROCEED", "other"))
        assert [found[name].outcome for name in QUESTIONS] == [NOT_RUN] * 5
    unnamed = _study(_row("memory", MET, "", ""))
    assert [unnamed[name].outcome for name in QUESTIONS] == [NOT_RUN] * 5


def test_rows_that_are_only_shown_answer_nothing():
    """A row without an outcome stands beside those that were judged."""
    aside = _row("memory", MET)._replace(judged=shown("a remark"))
    assert any_of([aside]) == Deciding(NOT_RUN, None)
    unrun = aside._replace(judged=Judged(NOT_RUN, ""))
    judged = _row("memory", NOT_MET)
    assert any_of([aside, unrun, judged]) == Deciding("no", judged)


def test_a_page_of_one_question_says_how_the_others_are_run():
    """It cannot know what the study asks; the whole page says what the study leaves out."""
    of_one = {row.stage: row.sentence for row in in_order({"structure": []}, is_whole=False)}
    whole = {row.stage: row.sentence for row in in_order({"structure": []})}
    for question in (question for question in CHAIN if question.stage != "structure"):
        assert f"`snakemake {question.target}` runs it" in of_one[question.stage]
        assert whole[question.stage] == question.absent
    assert of_one["structure"] == whole["structure"] == "No row could be judged."


@pytest.mark.parametrize(
    ("case", "place"), [("lag 1", "At lag 1, where question 1 has lag 2: "), ("lag 2", "")]
)
def test_a_memory_at_another_lag_than_question_one_says_so(case: str, place: str):
    found = _study(_row("memory", MET, case))[WORDS["memory"]]
    assert found.sentence == f"yes. {place}sentence."


@pytest.mark.parametrize(
    ("sentence", "word", "rest"),
    [
        (
            "PROCEED, heads not run: it adds 0.5 nats.",
            "PROCEED, heads not run",
            "it adds 0.5 nats.",
        ),
        ("yes. The gain is x.y.", "yes", "The gain is x.y."),
        ("It gains nothing.", MET, "It gains nothing."),
    ],
)
def test_an_answer_is_its_word_and_the_rest(sentence: str, word: str, rest: str):
    row = _row("memory", MET)._replace(sentence=sentence)
    assert (answer_word(row), rest_of_answer(row)) == (word, rest)


def test_a_first_sentence_ends_before_a_capital_letter():
    assert first_sentence("It adds 0.5 nats of x.y. More follows. And more.") == (
        "It adds 0.5 nats of x.y."
    )
    assert first_sentence("One; two") == "One"


def test_structure_alone_speaks_and_the_rest_is_named_not_run():
    found = _study(_row("structure", MET, "PROCEED, heads not run"))
    assert found[HEADLINE].case == "PROCEED, heads not run"
    assert "Not run: questions 2, 3, 4, 5" in found[HEADLINE].sentence


def test_a_stop_needs_a_no_from_the_heads_at_the_registered_lag():
    stop = _row("structure", NOT_MET, STOP)
    other_lag = _row("prediction", NOT_MET, f"{STEP} at lag 1")
    assert _study(stop, other_lag)[HEADLINE].case == "UNDECIDED"
    assert _study(stop, _row("prediction", NOT_MET, f"{STEP} at lag 2"))[HEADLINE].case == STOP


@pytest.mark.parametrize(
    ("interval", "outcome", "word"),
    [
        ((-0.01, 0.015), UNDECIDED, STOP),  # holds 0, and excludes what would matter
        ((0.001, 0.015), MET, STOP),  # surely above 0, and surely too little
        ((-0.01, 0.03), UNDECIDED, "UNDECIDED"),
        ((0.01, 0.03), MET, "UNDECIDED"),
    ],
)
def test_a_no_of_the_heads_is_an_equivalence(
    interval: tuple[float, float], outcome: str, word: str
):
    """Delta is .02 nats: only an interval below it is a no."""
    low, high = interval
    heads = _row("prediction", outcome, f"{STEP} at lag 2")
    heads = heads._replace(measured=Measured((low + high) / 2, low, high))
    assert _study(_row("structure", NOT_MET, STOP), heads)[HEADLINE].case == word


def test_a_memory_that_helps_outvotes_the_structure_stage_and_both_are_named():
    found = _study(_row("structure", NOT_MET, STOP), _row("memory", MET, "lag 1"))
    assert found[HEADLINE].case == "PROCEED"
    assert "question 3 decides" in found[HEADLINE].sentence
    assert "question 1 says the opposite" in found[HEADLINE].sentence


@pytest.mark.parametrize(
    ("outcomes", "word"),
    [([NOT_MET, MET], "yes"), ([NOT_MET, UNDECIDED], "UNDECIDED"), ([NOT_MET, NOT_MET], "no")],
)
def test_one_yes_is_enough_and_a_no_needs_all(outcomes: list[str], word: str):
    rows = [_row("rollout", outcome, str(place)) for place, outcome in enumerate(outcomes)]
    assert _study(*rows)[WORDS["rollout"]].sentence.startswith(word)


def test_rows_about_other_representations_decide_nothing():
    found = _study(_row("memory", MET, "lag 1", subject=STATE))
    assert found[WORDS["memory"]].outcome == NOT_RUN


def test_log_scores_are_those_of_what_happened():
    """The log of p for a yes, of 1 - p for a no, none where nothing was found."""
    assert log_score(0.55, "yes") == pytest.approx(math.log(0.55))
    assert log_score(0.55, "no") == pytest.approx(math.log(0.45))
    assert math.isnan(log_score(0.55, "UNDECIDED")) and math.isnan(log_score(0.55, "not run"))


def test_what_was_expected_stands_beside_what_was_found():
    rows = (
        _row("prediction", MET, f"{STEP} at lag 2"),
        _row("memory", NOT_MET, "lag 1", subject=STATE),
    )
    found = {
        row.case: row
        for row in chain_rows(rows, NAME, 2, 0.02, [STATE])
        if row.question == EXPECTED
    }
    assert "log score -0.60" in found["context predicts"].sentence  # ln .55
    assert "log score -0.60" in found["a lookup helps z_dyn"].sentence  # ln (1 - .45)
    assert found["the whole beats a generator like CALM"].outcome == NOT_RUN
    assert [row.measured.value for row in found.values()] == [0.55, 0.65, 0.45, 0.25]


@pytest.mark.parametrize(
    ("word", "outcome", "top", "found"),
    [
        ("HELPS", MET, "PROCEED", "Found: yes"),
        ("NO BENEFIT", NOT_MET, "STOP", "Found: no"),
        ("HELPS, pathway not tested", UNDECIDED, "PROCEED", "Found: UNDECIDED"),
    ],
)
def test_the_generator_answers_question_5_and_its_own_expectation(
    word: str, outcome: str, top: str, found: str
):
    """A memory that helps decides where the generator does not, and tells nothing about it."""
    memory = _row("memory", MET, "lag 1")
    generation = _row("generation", outcome, word)._replace(sentence=f"{word}. More.")
    rows = chain_rows([memory, generation], NAME, 2, 0.02)
    assert rows[0].case == top
    (link,) = [row for row in rows if row.question == WORDS["generation"]]
    assert (link.case, link.outcome, link.sentence) == ("5", outcome, f"{word}. More.")
    (expected,) = [row for row in rows if row.question == EXPECTED and "generator" in row.sentence]
    assert found in expected.sentence
