"""The headline of every combination of answers, against the sentences of the specification."""

import itertools
from pathlib import Path

import pytest

from engram_audio.verdicts.advice import ADVICE, advice_of
from engram_audio.verdicts.headline import RULES, Answers, headline
from engram_audio.verdicts.row import NOT_RUN
from engram_audio.verdicts.words import OF_STRUCTURE

ROOT = Path(__file__).parents[2]
YES_OR_NO = ("yes", "no", "UNDECIDED", "INVALID", NOT_RUN)
GENERATION = (
    "HELPS", "HELPS, pathway not tested", "COMPRESSES", "NO BENEFIT", "HURTS", "UNDECIDED",
    "INVALID", NOT_RUN,
)  # fmt: skip
POSSIBLE = ((*OF_STRUCTURE, NOT_RUN), YES_OR_NO, YES_OR_NO, YES_OR_NO, GENERATION)


def truth_table() -> str:
    """Return the table of the code as Markdown, one line for each rule in their order."""
    lines = ["| when | headline | decides | adds |", "| --- | --- | --- | --- |"]
    for rule in RULES:
        decides = str(rule.question) if rule.question else "none"
        word = rule.word or "the word of question 1"
        lines.append(f"| {rule.when} | {word} | {decides} | {rule.note} |")
    return "\n".join(lines)


def advice_table() -> str:
    """Return the lines as the table of docs/what-the-verdicts-mean.md."""
    rows = [f"| {one.title} | {one.says} | {one.build} |" for one in ADVICE]
    return "\n".join(["| word | what it says | build next |", "| --- | --- | --- |", *rows])


def specified(answers: Answers) -> str:
    """Return the word by the sentences of SCIENCE 12, read from the end of the chain."""
    one, two, three, four, five = answers
    if "INVALID" in answers:
        return "INVALID"
    decided_by_generation = {
        "HELPS": "PROCEED", "COMPRESSES": "PROCEED", "NO BENEFIT": "STOP", "HURTS": "STOP",
    }  # fmt: skip
    if five in decided_by_generation:
        return decided_by_generation[five]
    if three == "yes":
        return "UNDECIDED" if four == "no" else "PROCEED"
    is_other_law = one.startswith("WRONG KEY") or one == "LAW, NOT MEAN"
    if three == "no":
        return one if is_other_law else "STOP"
    if one == "STOP":
        return "STOP" if two == "no" else "UNDECIDED"
    return "UNDECIDED" if one == "not run" else one


def test_every_combination_has_the_word_of_the_specification():
    combinations = [Answers(*one) for one in itertools.product(*POSSIBLE)]
    assert len(combinations) == 10 * 5 * 5 * 5 * 8
    wrong = [one for one in combinations if headline(one).word != specified(one)]
    assert not wrong, wrong[:5]


def test_a_question_that_was_not_run_never_decides():
    for one in itertools.product(*POSSIBLE):
        answers = Answers(*one)
        found = headline(answers)
        if found.question:
            assert answers[found.question - 1] != "not run"


@pytest.mark.parametrize(
    ("answers", "opposites"),
    [
        (Answers("PROCEED", "yes", "no"), (1, 2)),
        (Answers("STOP", "no", "yes"), (1, 2)),
        (Answers("STOP", "no", "undecided"), ()),
        (Answers("PROCEED", "yes", "yes", "yes", "HURTS"), (1, 2, 3, 4)),
        (Answers("PROCEED", "yes", "no", "not run", "HELPS"), (3,)),
        (Answers("UNDECIDED", "yes", "no"), (2,)),
    ],
)
def test_earlier_questions_that_say_the_opposite_are_named(
    answers: Answers, opposites: tuple[int, ...]
):
    assert headline(answers).opposites == opposites


def test_an_untested_pathway_does_not_decide():
    answers = Answers("STOP", "no", "no", "not run", "HELPS, pathway not tested")
    assert headline(answers).word == "STOP" and headline(answers).question == 3


def test_what_a_memory_that_diverges_says():
    found = headline(Answers("PROCEED", "yes", "yes", "no"))
    assert (found.word, found.note) == ("UNDECIDED", "not in free running")


PAGE = "docs/what-the-verdicts-mean.md"


def test_the_documents_hold_the_table_of_the_code():
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert truth_table() in page, f"copy the output of truth_table() into {PAGE}"


def test_the_documents_hold_the_advice_of_the_page():
    page = (ROOT / PAGE).read_text(encoding="utf-8")
    assert advice_table() in page, f"copy the output of advice_table() into {PAGE}"


def test_every_headline_has_advice_of_its_own_word():
    found = {
        (one.word, one.note)
        for one in (headline(Answers(*a)) for a in itertools.product(*POSSIBLE))
    }
    assert {(one.word, one.note) for one in ADVICE} == found
    with pytest.raises(KeyError):
        advice_of("PROCEED", "a note that no headline has")


def test_advice_claims_only_what_was_answered():
    """A gain over models of equal cost is known from questions 3 and 5, an open one is open."""
    for one in itertools.product(*POSSIBLE):
        answers = Answers(*one)
        found = headline(answers)
        advice = advice_of(found.word, found.note)
        if "a model of the same cost does not have" in advice.says:
            assert answers.memory == "yes"
        if "others of the same work" in advice.says:
            assert answers.generation in ("HELPS", "COMPRESSES")
        if "intervals hold both answers" in advice.says:
            assert answers.structure == "UNDECIDED"
        if "settle question 2" in advice.build:
            assert answers.prediction == "UNDECIDED"


def test_each_question_that_proceeds_says_what_it_knows():
    by_keys, by_memory, by_generator = (
        Answers("PROCEED", "yes"), Answers(memory="yes"), Answers(generation="HELPS"),
    )  # fmt: skip
    lines = [
        advice_of(found.word, found.note)
        for found in map(headline, (by_keys, by_memory, by_generator))
    ]
    assert {line.word for line in lines} == {"PROCEED"} and len(set(lines)) == len(lines)
    assert "question 3" in lines[0].build.lower()


@pytest.mark.parametrize(
    ("answer", "words"),
    [("not run", "`prediction`"), ("yes", "Compare the slice"), ("UNDECIDED", "More speakers")],
)
def test_a_stop_without_a_no_of_the_networks_says_what_is_missing(answer: str, words: str):
    found = headline(Answers("STOP", answer))
    assert found.word == "UNDECIDED" and words in advice_of(found.word, found.note).build
