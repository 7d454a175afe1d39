"""Published CSVs: a cell is data to a table program, and reading back gives what was written."""

import csv
import io
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_audio.artifacts.columns import Column, Table, as_written, harmless
from engram_audio.artifacts.published import read_csv
from engram_audio.artifacts.table import write_csv
from engram_audio.report.figure import csv_text

TABLE = Table("a", "row", (Column("text", "A text."), Column("value", "A number.")))
FORMULAS = (
    "=1+1", "=HYPERLINK('http://x')", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1",
    "\n=1", "'=1", "''=1", "-", "+", "=", "--x", "-x.flac", "\uff1d1+1",
)  # fmt: skip
PLAIN = ("a", "a=b", "1-2-0003", "'a", "'", "None", "x\ty", "a,b", 'a"b', " =1", "0-1")
NUMBERS = (-1.5, 2.0, np.nan, np.inf, -np.inf, 1e-300, -3.0)


def frame_of(texts: tuple[str, ...]) -> pd.DataFrame:
    return pd.DataFrame({"text": texts, "value": [-1.25 * n for n in range(len(texts))]})


def cells(path: Path) -> list[list[str]]:
    with open(path, newline="", encoding="utf-8") as handle:
        return list(csv.reader(handle))[1:]


def test_no_text_is_a_formula_and_all_texts_come_back(tmp_path: Path):
    frame = frame_of((*FORMULAS, *PLAIN))
    write_csv(tmp_path / "a.csv", frame, TABLE)
    found = cells(tmp_path / "a.csv")
    assert not any(text[0] in "=+-@\t\r\n" for text, _ in found)
    assert [text for text, _ in found[len(FORMULAS) :]] == list(PLAIN)
    read = read_csv(tmp_path / "a.csv", TABLE)
    assert read["text"].tolist() == [*FORMULAS, *PLAIN]
    assert read["value"].tolist() == frame["value"].tolist()
    drawn = list(csv.reader(io.StringIO(csv_text(frame), newline="")))[1:]
    assert [text for text, _ in drawn] == [text for text, _ in found]


def test_numbers_stay_numbers_bit_for_bit(tmp_path: Path):
    """In columns of floats, among objects, and as texts: the file is what pandas alone writes."""
    frame = pd.DataFrame(
        {"text": ["-1.5", "+2", "-inf", "1e-3", "nan", "a", "-7"], "value": NUMBERS}
    )
    mixed = frame.assign(text=pd.Series([-1, None, "-2", 3.5, "b", True, "c"], dtype=object))
    for table in (frame, mixed):
        write_csv(tmp_path / "a.csv", table, TABLE)
        plain = table.to_csv(index=False, float_format="%.9g", lineterminator="\n")
        assert (tmp_path / "a.csv").read_text() == plain
        assert harmless(table) is table


@given(st.lists(st.text(alphabet="'=+-@\t\r\na1.e ", max_size=5), min_size=1, max_size=4))
def test_what_is_made_harmless_comes_back(texts: list[str]):
    frame = frame_of(tuple(texts))
    safe = harmless(frame)
    pd.testing.assert_frame_equal(as_written(safe).astype(object), frame.astype(object))
    risky = [text for text in safe["text"] if text[:1] in tuple("=+-@\t\r\n")]
    assert all(text == text.strip() and float(text) is not None for text in risky)


@given(st.lists(st.text(alphabet="'=+-@\t\r\na,\"", max_size=5), min_size=1, max_size=4))
def test_any_text_survives_the_file(texts: list[str]):
    """Line ends, quotes and delimiters too."""
    frame = frame_of(tuple(texts))
    found = list(csv.reader(io.StringIO(csv_text(frame), newline="")))[1:]
    assert as_written(pd.DataFrame({"text": [row[0] for row in found]}))["text"].tolist() == texts


@pytest.mark.parametrize("texts", [(), ("a", None, "b")])
def test_nothing_and_missing_cells_are_left_alone(tmp_path: Path, texts: tuple):
    frame = frame_of(texts)
    write_csv(tmp_path / "a.csv", frame, TABLE)
    read = read_csv(tmp_path / "a.csv", TABLE)["text"].tolist()
    assert [isinstance(text, str) for text in read] == [text is not None for text in texts]
