"""SPEAKERS.TXT and transcripts."""

import pytest

from engram_audio.corpus.librispeech import format_speakers, parse_speakers, parse_transcripts
from engram_audio.errors import InputError


def test_speakers_with_comments_case_and_bars_in_names():
    text = (
        "\ufeff; head\n;ID |SEX\n14 | F | x | 25.03 | A\n\n 16|m|x|1|B | C|D\n 17 | ? | x | 1 | E\n"
    )
    assert parse_speakers(text) == {"14": "F", "16": "M", "17": "unknown"}


@pytest.mark.parametrize("line", ["14 F train", " | F | x", "<html>"])
def test_a_malformed_line_is_named(line: str):
    with pytest.raises(InputError, match="line 2"):
        parse_speakers(f"14 | F | x | 1 | A\n{line}\n", "SPEAKERS.TXT")


def test_a_speaker_has_one_sex():
    assert parse_speakers("14 | F | x | 1 | A\n14 | F | y | 2 | A\n") == {"14": "F"}
    with pytest.raises(InputError, match="another sex"):
        parse_speakers("14 | F | x | 1 | A\n14 | M | y | 2 | A\n")


def test_what_is_formatted_is_parsed():
    rows = [("1001", "F", "demo-speech", 1.25, "a | b"), ("1002", "M", "demo-speech", 0.5, "c")]
    assert parse_speakers(format_speakers(rows, "head")) == {"1001": "F", "1002": "M"}


def test_transcripts_keep_their_text_and_the_first_of_equals():
    text = "1-2-0000 IT'S  <B> \r\n\n1-2-0001\n1-2-0000 AGAIN\n"
    assert parse_transcripts(text) == {"1-2-0000": "IT'S  <B>", "1-2-0001": ""}
