"""The data dictionary is what the stages declare."""

from pathlib import Path

import pytest

from engram_audio.data_dictionary import dictionary_text, shared_columns
from engram_audio.report.published_tables import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "data-dictionary.md"


def test_the_page_is_what_make_docs_writes():
    assert PAGE.read_text(encoding="utf-8") == dictionary_text(), "run `make docs`"


def test_a_column_of_several_tables_stands_once_and_each_table_names_it():
    """Law: a shared column has one row on the page, and no column of a table is left out."""
    text = dictionary_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    meanings = [column.meaning.replace("|", r"\|") for column in shared_columns().values()]
    names = [f"| `{name}`" for name in shared_columns()]
    assert names
    for name, meaning in zip(names, meanings, strict=True):
        own = [row for row in rows if row.startswith(name) and row.endswith(f"| {meaning} |")]
        assert len(own) == len(set(own)), name
    for name, table in TABLES.items():
        own = text.partition(f"### {name}.csv")[2].partition("\n###")[0].partition("\n## ")[0]
        assert all(f"`{column.name}`" in own for column in table.columns), name


@pytest.mark.parametrize("name", TABLES)
def test_every_column_is_declared_once_and_explained(name: str):
    columns = TABLES[name].columns
    assert len({column.name for column in columns}) == len(columns)
    for column in columns:
        assert column.meaning.endswith("."), column.name
        assert "\n" not in column.meaning and ";" not in column.meaning, column.name
