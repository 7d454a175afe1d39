"""Tables of the page: columns with units and help, cells with text and a sort value.

Every text is untrusted; escaping is the templates' business (autoescape) and nothing here makes
markup.
"""

import math
from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import Table, absent_columns
from engram_audio.errors import InputError
from engram_audio.verdicts import number


class Cell(NamedTuple):
    """One cell: what is shown, what sorts, and a class that colours an outcome."""

    text: str
    sort: str = ""
    mark: str = ""


class Column(NamedTuple):
    """One column of a table on the page. `shown` makes those of published tables.

    Attributes:
        name: Column of the data frame.
        title: Header.
        unit: Unit, shown under the header.
        help: One sentence on how to read it.
        low: Column with the lower end of the interval, if any.
        high: Column with the upper end.
        form: How a value without interval is written.
        is_text: Left-aligned, sorted as text.
        is_outcome: A word (pass, fail, ...) that gets its colour.
        is_extra: Shown with all columns only.
    """

    name: str
    title: str
    unit: str = ""
    help: str = ""
    low: str = ""
    high: str = ""
    form: Callable[[Any], str] = number.plain
    is_text: bool = False
    is_outcome: bool = False
    is_extra: bool = False


def shown(table: Table, *names: str, form: Callable[[Any], str] = number.plain) -> list[Column]:
    """Return declared columns of a published table as columns of the page.

    Title, unit, help and interval are those of the declaration.

    Args:
        table: The published table.
        names: Its columns; `<name>_null` stands for what the best null scores.
        form: How a value without interval is written.

    Raises:
        InputError: No such column is declared, or it has no title.
    """
    return [_shown(table, name, form) for name in names]


def _shown(table: Table, name: str, form: Callable[[Any], str]) -> Column:
    if name in [f"{column.name}_null" for column in table.columns if column.has_null]:
        return Column(name, "its null", help="Of the best null.", form=form)
    declared = table[name]
    if not declared.title:
        raise InputError(
            f"table {table.name}: column '{name}' has no title; declare one to show it"
        )
    ends = (f"{name}_low", f"{name}_high") if declared.has_interval else ("", "")
    return Column(
        name,
        declared.title,
        "" if declared.unit == declared.title.lower() else declared.unit,
        declared.meaning.replace("`", ""),  # marks of Markdown, for the data dictionary
        *ends,
        form=form,
        is_text=declared.is_text,
    )


class TableView(NamedTuple):
    """A table ready for its template.

    Attributes:
        name: Stable id, without prefix.
        caption: What the table holds.
        columns: Its columns.
        rows: Pairs of (shown at first, cells).
        left_out: Rows that are only in the published file.
        source: Path of that file beside the page, or nothing.
        more: Label of the button that shows the rows not shown at first, or nothing.
    """

    name: str
    caption: str
    columns: list[Column]
    rows: list[tuple[bool, list[Cell]]]
    left_out: int = 0
    source: str = ""
    more: str = ""


def make_table(
    name: str,
    caption: str,
    frame: pd.DataFrame,
    columns: Sequence[Column],
    *,
    maximum_rows: int,
    source: str = "",
    first: pd.Series | None = None,
    more: str = "",
    deciding: Collection[str] = (),
) -> TableView:
    """Build a table.

    Args:
        name: Stable id.
        caption: What the table holds.
        frame: Rows, in the order to show.
        columns: Columns to show.
        maximum_rows: Rows embedded; the rest is counted as left out.
        source: Path of the published file.
        first: Which rows are shown at first, by default all; they are embedded before others.
        more: Label of the button for the other rows.
        deciding: Columns that are shown at first, by default all.

    Raises:
        InputError: The frame lacks a column, or an end of its interval.
    """
    wanted = [each for column in columns for each in (column.name, column.low, column.high) if each]
    absent = [each for each in wanted if each not in frame.columns]
    if absent:
        raise absent_columns(absent, frame.columns, f"table {name} of the page")
    shown = pd.Series(True, index=frame.index) if first is None else first.astype(bool)
    if first is not None and not shown.any():
        shown[:] = True
    order = shown.sort_values(ascending=False, kind="stable").index[:maximum_rows]
    kept = frame.loc[order]
    records = kept.to_dict("records")
    flags = shown.loc[order].tolist()
    decimals = {column.name: column_decimals(kept, column) for column in columns}
    rows = [
        (bool(flag), [make_cell(row, column, decimals[column.name]) for column in columns])
        for flag, row in zip(flags, records, strict=True)
    ]
    return TableView(
        name=name,
        caption=caption,
        columns=[
            column._replace(is_extra=bool(deciding) and column.name not in deciding)
            for column in columns
        ],
        rows=rows,
        left_out=len(frame) - len(kept),
        source=source,
        more=more if not all(flags) else "",
    )


def column_decimals(frame: pd.DataFrame, column: Column) -> int | None:
    """Return the decimals that the median width of a column's intervals supports: it aligns."""
    if not column.low:
        return None
    low, high = (frame[name].to_numpy(float, na_value=np.nan) for name in (column.low, column.high))
    widths = (high - low)[high > low]
    return number.decimals_of_width(float(np.median(widths))) if len(widths) else None


def make_cell(row: dict[Any, Any], column: Column, decimals: int | None = None) -> Cell:
    """Return one cell: a value stands with its interval where the table has one."""
    value = row[column.name]
    if column.is_outcome:
        word = number.plain(value)
        return Cell(word, word, outcome_class(word))
    if column.is_text:
        text = column.form(value)
        return Cell(text, text)
    low, high = (row[end] if end else None for end in (column.low, column.high))
    has_interval = not all(math.isnan(number.as_float(end)) for end in (low, high))
    text = number.interval(value, low, high, decimals) if has_interval else column.form(value)
    sort = number.as_float(value)
    return Cell(text, "" if math.isnan(sort) else f"{sort:.7g}")


OUTCOMES = {
    "pass": "good", "proceed": "good", "ok": "good",
    "fail": "bad", "stop": "bad",
    "undecided": "open", "undefined": "open",
    "invalid": "void",
}  # fmt: skip


def outcome_class(word: str) -> str:
    """Return the colour class of an outcome's first word, or nothing."""
    parts = word.lower().replace(":", " ").split()
    return OUTCOMES.get(parts[0], "") if parts else ""
