"""Decision matrix: each representation and its chosen key against each row of the gate."""

from typing import Any

import pandas as pd

from engram_audio.report.data import ReportData
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, make_table

SEVERITY = ("fail", "invalid", "undecided", "pass")


def build(data: ReportData) -> dict[str, Any]:
    """Gather the matrix."""
    representations = data.decision.get("representations", {})
    rows, quantities = [], {}
    for name, entry in sorted(representations.items()):
        gate = entry.get("gates", {}).get("operative", [])
        keys = list(dict.fromkeys(str(row["key"]) for row in gate if row.get("key")))
        for key in keys:
            cells = _cells([row for row in gate if str(row.get("key")) == key])
            quantities.update(dict.fromkeys(cells))
            rows.append(
                {
                    "representation": name,
                    "key": key,
                    "verdict": str(entry.get("verdict")),
                    **cells,
                }
            )
    columns = [
        Column("representation", "Representation", is_text=True),
        Column(
            "verdict",
            "Keys alone",
            is_outcome=True,
            help="The word before any head is asked; the first screen has the verdict.",
        ),
        Column("key", "Key", is_text=True, help="Chosen on speakers held out for choices."),
        *(Column(name, name.replace("_", " "), is_outcome=True) for name in quantities),
    ]
    return {
        "matrix": make_table(
            "decision-matrix",
            "Worst outcome over slices, and how many slices pass",
            pd.DataFrame(rows, columns=[column.name for column in columns]),
            columns,
            maximum_rows=data.settings.maximum_table_rows,
            source="decision.json",
        )
    }


def _cells(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Return quantity -> `outcome n/m`: the worst outcome, and passes of all slices."""
    outcomes: dict[str, list[str]] = {}
    for row in rows:
        name = str(row.get("name") or row.get("quantity"))
        if row.get("outcome"):  # rows that only inform have none
            outcomes.setdefault(name, []).append(str(row["outcome"]))
    return {
        name: f"{_worst(found)} {found.count('pass')}/{len(found)}"
        for name, found in outcomes.items()
    }


def _worst(outcomes: list[str]) -> str:
    for word in SEVERITY:
        if word in outcomes:
            return word
    return outcomes[0]


SECTION = SectionSpec(
    name="matrix",
    place=40,
    title="Decision matrix",
    lead=(
        "Each line is a representation with its chosen key. Each column is a row of the operative "
        "gate. Read a line from left to right to see where it stops. Surrogates are nulls, so no "
        "verdict is made on them."
    ),
    needs=(),
    build=build,
)
