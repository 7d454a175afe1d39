"""The data dictionary is what the stages declare."""

from pathlib import Path

import pytest

from engram_audio.data_dictionary import dictionary_text
from engram_audio.report.published_tables import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_the_page_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == dictionary_text(), "run `make docs`"


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_declared_once_and_explained(name: str):
    columns = TABLES[name].columns
    assert len({column.name for column in columns}) == len(columns)
    for column in columns:
        assert column.meaning.endswith("."), column.name
        assert "\n" not in column.meaning and ";" not in column.meaning, column.name
