"""Tables: a value stands with its interval, rows left out are counted, order is kept."""

import pandas as pd
import pytest

from engram_audio.errors import InputError
from engram_audio.report.table_view import Column, make_table, outcome_class, shown
from engram_audio.structure.columns import STRUCTURE
from engram_audio.verdicts import number

COLUMNS = [
    Column("name", "Name", is_text=True),
    Column("ratio", "Ratio", low="low", high="high"),
    Column("outcome", "Outcome", is_outcome=True),
]
FRAME = pd.DataFrame(
    {
        "name": ["a", "b", "c"], "ratio": [0.98, None, 1.02], "low": [0.97, None, 1.01],
        "high": [0.99, None, 1.03], "outcome": ["pass", "fail", "undecided 3/5"],
        "extra": [1, 2, 3],
    }
)  # fmt: skip


def test_value_stands_with_its_interval_and_sorts_by_the_value():
    view = make_table("t", "T", FRAME, COLUMNS, maximum_rows=10)
    cell = view.rows[0][1][1]
    assert cell.text == "0.980 [0.970, 0.990]"
    assert cell.sort == "0.98"
    assert view.rows[1][1][1].text == number.MISSING
    assert view.rows[1][1][1].sort == ""


def test_columns_that_the_page_does_not_show_do_not_matter():
    view = make_table("t", "T", FRAME, COLUMNS, maximum_rows=10)
    assert [column.name for column in view.columns] == ["name", "ratio", "outcome"]


@pytest.mark.parametrize("name", ["name", "ratio", "low", "high", "outcome"])
def test_a_column_or_an_end_that_is_not_there_is_refused(name: str):
    """Nothing vanishes from the page: not a column, and not an interval."""
    renamed = FRAME.rename(columns={name: f"{name}_x"})
    with pytest.raises(InputError, match=f"no column '{name}'; did you mean '{name}_x'"):
        make_table("t", "T", renamed, COLUMNS, maximum_rows=10)


def test_what_a_stage_declares_is_what_the_page_says():
    (column,) = shown(STRUCTURE, "ratio", form=number.fixed)
    declared = STRUCTURE["ratio"]
    assert column.title == declared.title and column.help == declared.meaning.replace("`", "")
    assert (column.low, column.high) == ("ratio_low", "ratio_high")


@pytest.mark.parametrize("name", ["ratoi", "num_cells", "ratio_null", "ratio_low"])
def test_only_declared_columns_with_a_title_are_shown(name: str):
    with pytest.raises(InputError, match=name):
        shown(STRUCTURE, name)


def test_rows_left_out_are_counted_and_first_rows_are_kept_before_others():
    first = pd.Series([False, False, True])
    view = make_table("t", "T", FRAME, COLUMNS, maximum_rows=2, first=first, more="All")
    assert [(shown, cells[0].text) for shown, cells in view.rows] == [(True, "c"), (False, "a")]
    assert view.left_out == 1
    assert view.more == "All"


def test_without_any_first_row_all_rows_show():
    view = make_table(
        "t", "T", FRAME, COLUMNS, maximum_rows=9, first=pd.Series([False] * 3), more="All"
    )
    assert all(shown for shown, _ in view.rows)
    assert view.more == "", "no button that reveals nothing"


def test_outcomes_have_one_colour_each():
    words = ["pass 5/5", "fail", "undecided", "invalid"]
    assert len({outcome_class(word) for word in words}) == len(words)
    assert outcome_class("not_attempted: 65536 cells") == ""
