"""Tables and lists of speakers with anything inside: read, or refused in one line."""

import tempfile
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engram_audio.artifacts.text_table import LINE, read_text_table
from engram_audio.corpus.librispeech import parse_speakers, parse_transcripts
from engram_audio.corpus.sexes import sex_of
from engram_audio.errors import InputError

PIECES = (
    "file", "speaker_id", "sex", "path", "gender", "SEX", ",", ";", "\t", "|", "\n", "\r\n", "\r",
    '"', "'", " ", "", "a", "a.wav", "F", "\0", "\ufeff", "\u2028", "é", "row", LINE, "=1", "#",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
BYTES = TEXTS.map(str.encode) | st.binary(max_size=60)
HEADED = TEXTS.map(lambda text: b"file,speaker_id,sex\n" + text.encode())


@settings(max_examples=300, suppress_health_check=[HealthCheck.too_slow])
@given(BYTES | HEADED)
def test_a_table_is_read_or_refused_in_one_line(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.csv"
        path.write_bytes(content)
        try:
            table = read_text_table(path, ("file", "speaker_id"), {"file": ("path",)})
        except InputError as error:
            assert str(error).isprintable() and "table.csv" in str(error)
            return
        assert len(table) > 0 and table.columns.is_unique
        assert all(table["file"]) and all(table["speaker_id"])


@settings(max_examples=300)
@given(TEXTS | st.text(max_size=40))
def test_a_list_of_speakers_is_read_or_refused_in_one_line(text):
    assert sex_of(text) in ("F", "M", "unknown", None)
    parse_transcripts(text)
    try:
        sexes = parse_speakers(text, "SPEAKERS.TXT")
    except InputError as error:
        assert str(error).isprintable() and "SPEAKERS.TXT: line" in str(error)
        return
    assert set(sexes.values()) <= {"F", "M", "unknown"} and "" not in sexes
