"""Tables: a value stands with its interval, rows left out are counted, order is kept."""

import pandas as pd

from engram_audio.report import number
from engram_audio.report.table_view import Column, make_table, outcome_class

COLUMNS = [
    Column("name", "Name", is_text=True),
    Column("ratio", "Ratio", low="low", high="high"),
    Column("outcome", "Outcome", is_outcome=True),
    Column("absent", "Absent"),
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


def test_absent_columns_go_and_extra_columns_do_not_matter():
    view = make_table("t", "T", FRAME, COLUMNS, maximum_rows=10)
    assert [column.name for column in view.columns] == ["name", "ratio", "outcome"]


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
