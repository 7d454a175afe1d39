"""Measured against known: planted worlds, error rates, coverage, planted bugs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from engram_audio.calibration.answers import ANSWERS
from engram_audio.report.data import ReportData
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, TableView, make_table, shown
from engram_audio.report.verdict_rows import view_rows
from engram_audio.trust.columns import CALIBRATION

OUTCOME = Column("outcome", "Outcome", is_outcome=True)
NUMBER_COLUMNS = (
    *shown(CALIBRATION, "world", "stage", "quantity", "lag_frames", "truth", "truth_error",
           "measured", "measured_error", "tolerance_below", "tolerance_above"),
    OUTCOME,
)  # fmt: skip
VERDICT_COLUMNS = (
    *shown(CALIBRATION, "world", "expected", "given"),
    Column("why", "Why it is right", is_text=True),
    OUTCOME,
)
RATE_COLUMNS = (
    *shown(CALIBRATION, "world", "quantity", "stage", "truth", "measured", "measured_error",
           "expected"),
    OUTCOME,
)  # fmt: skip
BUG_COLUMNS = (
    Column("bug", "Planted bug", is_text=True),
    Column("what", "What is wrong", is_text=True),
    Column("num_rows", "Rows that notice"),
    Column("first", "The first of them", is_text=True),
    Column("outcome", "Outcome", is_outcome=True),
)

DECIDING = ("world", "stage", "quantity", "truth", "measured", "expected", "given", "outcome")


def build(data: ReportData) -> dict[str, Any]:
    """Gather the tables and figures of the calibration."""
    table = with_outcome(data.tables["calibration"])
    document = data.documents.get("calibration", {})
    bugs = document.get("sabotage", {}).get("bugs", {})
    rates = table.loc[table["kind"].isin(["error rate", "coverage"])]
    return {
        "rows": view_rows(data.verdicts("calibration")),
        "verdicts": _table(data, "verdicts", "Verdicts on worlds with known verdicts",
                           with_reasons(table.loc[table["kind"] == "verdict"]), VERDICT_COLUMNS),
        "numbers": _table(data, "numbers", "Every measured number beside the known one",
                          table.loc[table["kind"] == "number"], NUMBER_COLUMNS,
                          is_failing_first=True),
        "rates": _table(data, "rates", "Error rates of the gate, coverage of intervals",
                        rates, RATE_COLUMNS),
        "bugs": make_table(
            "calibration-bugs", "Planted bugs, and the rows that notice them", bug_rows(bugs),
            BUG_COLUMNS, maximum_rows=data.settings.maximum_table_rows, source="calibration.json",
        ),
        "matrix": matrix_table(data, document.get("sabotage", {})),
    }  # fmt: skip


def _table(
    data: ReportData, name: str, caption: str, rows: pd.DataFrame, columns: Sequence[Column],
    is_failing_first: bool = False,
) -> TableView:  # fmt: skip
    if is_failing_first:
        rows = rows.iloc[np.argsort(rows["outcome"] != "fail", kind="stable")]
    return make_table(
        f"calibration-{name}", caption, rows, columns,
        maximum_rows=data.settings.maximum_table_rows, source="tables/calibration.csv",
        deciding=DECIDING,
    )  # fmt: skip


def with_reasons(rows: pd.DataFrame) -> pd.DataFrame:
    """Add why each world's word is the right one; empty for a world that states none."""
    return rows.assign(why=[ANSWERS[name].why if name in ANSWERS else "" for name in rows["world"]])


def with_outcome(table: pd.DataFrame) -> pd.DataFrame:
    """Add the word of each row: pass, fail, or `shown` where nothing is claimed."""
    words = {"True": "pass", "False": "fail"}
    outcome = [words.get(str(value), "shown") for value in table["passes"]]
    return table.assign(outcome=outcome)


def bug_rows(bugs: dict[str, Any]) -> pd.DataFrame:
    """Return one row for each planted bug."""
    rows = [
        {
            "bug": name, "what": entry.get("what"), "num_rows": len(entry.get("caught_by", [])),
            "first": next(iter(entry.get("caught_by", [])), None),
            "outcome": "pass" if entry.get("is_caught") else "fail",
        }
        for name, entry in bugs.items()
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=[column.name for column in BUG_COLUMNS])


def matrix_table(data: ReportData, sabotage: dict[str, Any]) -> TableView:
    """Return the matrix: calibration rows down, planted bugs across."""
    bugs = sabotage.get("bugs", {})
    rows = [
        {"row": row, **{bug: _word(row, entry) for bug, entry in bugs.items()}}
        for row in sabotage.get("rows", [])
    ]
    columns = [Column("row", "Calibration row", is_text=True)]
    columns += [Column(bug, bug.replace("_", " "), is_text=True) for bug in bugs]
    return make_table(
        "calibration-matrix", "Which row notices which planted bug",
        pd.DataFrame(rows, columns=[column.name for column in columns]), columns,
        maximum_rows=data.settings.maximum_table_rows, source="calibration.json",
    )  # fmt: skip


def _word(row: str, entry: dict[str, Any]) -> str | None:
    return "caught" if row in entry.get("caught_by", []) else None


SECTION = SectionSpec(
    name="calibration",
    place=97,
    title="Can this instrument be trusted?",
    lead=(
        "Planted worlds whose answers are known went through the same rules as the speech above. "
        "Each number stands beside the known one with a tolerance that was derived, not tuned."
    ),
    needs=("calibration",),
    build=build,
)
