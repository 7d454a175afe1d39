"""The data dictionary is what the stages declare."""

import re
from pathlib import Path

import pytest

from engram_audio.artifacts.columns import Column
from engram_audio.data_dictionary import dictionary_text, rows_of, shared_columns
from engram_audio.report.published_tables import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_the_page_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == dictionary_text(), "run `make docs`"


def test_a_column_of_several_tables_stands_once_and_each_table_names_it():
    """Law: a shared column has one row on the page, and no column of a table is left out."""
    text = dictionary_text()
    rows = [line for line in text.splitlines() if line.startswith("- `")]
    shared = shared_columns()
    assert shared
    for name, column in shared.items():
        own = [row for row in rows if re.search(rf"`{re.escape(name)}[`[].*: ", row)
               and row.endswith(f": {column.meaning}")]  # fmt: skip
        assert own and len(own) == len(set(own)), name
    for name, table in TABLES.items():
        own = text.partition(f"### {name}.csv")[2].partition("\n###")[0].partition("\n## ")[0]
        for column in table.columns:
            assert f"`{column.name}`" in own or f"`{column.name}[" in own, (name, column.name)


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_declared_once_and_explained(name: str):
    columns = TABLES[name].columns
    assert len({column.name for column in columns}) == len(columns)
    for column in columns:
        assert column.meaning.endswith("."), column.name
        assert "\n" not in column.meaning and ";" not in column.meaning, column.name


def test_columns_of_one_meaning_share_a_row_and_an_unusual_unit_is_said():
    columns = [
        Column("cosine", "Same."),
        Column("energy", "Other.", "SD"),
        Column("ratio", "Same."),
    ]
    assert list(rows_of(columns)) == ["- `cosine`, `ratio`: Same.", "- `energy` (SD): Other."]
