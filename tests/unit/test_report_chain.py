"""The first screen's answers: number, what was asked, and sentences that begin and end."""

import pytest

from engram_audio.report.chain import begun, chain_of
from engram_audio.report.verdict_rows import asked_words
from engram_audio.verdicts.judge import Asked, Measured, above, at_most, between, judge
from engram_audio.verdicts.row import VerdictRow, shown
from tests.report_tables import report_data


def row(asked: Asked) -> VerdictRow:
    measured = Measured(0.3, 0.1, 0.6)
    return VerdictRow(
        "memory", "Does it?", "a", "", judge(measured, asked), "", measured, asked, "nats/frame"
    )


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (above(0.02), "asked: above 0.02 nats/frame"),
        (at_most(0.0005), "asked: at most 0.0005 nats/frame"),
        (above(0.0810434), "asked: above 0.081 nats/frame"),
        (between(-0.123456, 0.123456), "asked: from -0.123 to 0.123 nats/frame"),
    ],
)
def test_a_bar_that_was_computed_has_three_digits_and_one_that_was_set_all(asked, words: str):
    assert asked_words(row(asked)) == words


def test_a_row_that_is_only_shown_asks_nothing():
    assert "asked:" not in asked_words(row(above(0.0))._replace(judged=shown()))


@pytest.mark.parametrize(
    ("text", "begins"),
    [
        ("too few seeds: 1 of 3. not better", "Too few seeds: 1 of 3. Not better"),
        ("mel_pca gains .5. k_step does not", "mel_pca gains .5. k_step does not"),
        ("xₜ at lag 2. over F: no interval", "xₜ at lag 2. Over F: no interval"),
        ("", ""),
    ],
)
def test_sentences_begin_with_a_capital_where_they_begin_with_a_word(text: str, begins: str):
    assert begun(text) == begins


def test_every_answer_with_a_judged_number_says_what_was_asked_and_ends():
    answers = chain_of(report_data())
    assert len(answers) == 5 and any(one.numbers for one in answers)
    for one in answers:
        assert not one.short or one.short[-1] in ".!?"
    assert any(asked for one in answers for _, asked in one.numbers)
