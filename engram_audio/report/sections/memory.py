"""Does lookup add anything? Every memory beside every control."""

import math
from typing import Any

import pandas as pd

from engram_audio.memory.columns import MEMORY
from engram_audio.report import number
from engram_audio.report.data import ReportData, choose
from engram_audio.report.figures_memory import NAMES, gains_figure
from engram_audio.report.gate_rows import GateRowView, strip_of
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import TableView, make_table, shown

MARKS = {"PROCEED": "good", "STOP": "bad", "UNDECIDED": "open"}
WORDS = {"PROCEED": "lookup helps", "STOP": "lookup does not help", "UNDECIDED": "undecided"}

COLUMNS = (
    *shown(MEMORY, "representation", "lag_frames", "memory", "predictor"),
    *shown(MEMORY, "control", form=lambda name: NAMES.get(str(name), str(name))),
    *shown(
        MEMORY, "gain_nats", "control_gain_nats", "gate", "hit_rate", "first_hit_rate",
        "num_slots_used", "slot_perplexity", "num_slots", form=number.fixed,
    ),
    *shown(MEMORY, "num_parameters", "num_control_parameters"),
    *shown(MEMORY, "is_control_capped", form=number.yes),
    *shown(MEMORY, "is_off", form=lambda is_off: "off" if number.yes(is_off) else "on"),
    *shown(MEMORY, "slice", "seed"),
)  # fmt: skip


def build(data: ReportData) -> dict[str, Any]:
    """Gather verdicts, figures and the table."""
    table, verdicts = data.table("memory"), data.table("memory_verdict")
    if table.empty:
        return {"groups": [], "table": None}
    ordered = verdicts.assign(
        first=verdicts["representation"] != data.registered["representation"]
    ).sort_values(["first", "representation", "lag_frames"], kind="stable")
    return {
        "groups": [_group(data, row) for row in ordered.to_dict("records")],
        "table": _table(data, table),
    }


def _group(data: ReportData, row: dict[str, Any]) -> dict[str, Any]:
    name, lag = str(row["representation"]), int(row["lag_frames"])
    figure = gains_figure(data, name, lag)
    return {
        "name": name,
        "lag": lag,
        "rows": [_verdict(row)],
        "figures": [figure] if figure else [],
    }


def _verdict(row: dict[str, Any]) -> GateRowView:
    verdict = str(row["verdict"])
    gain, low, high = (number.as_float(row[f"gain_nats{end}"]) for end in ("", "_low", "_high"))
    decimals = number.decimals_of_width(high - low) if high > low else 3
    least = number.as_float(row["minimum_gain_nats"])
    control = NAMES.get(str(row["deciding_control"]), str(row["deciding_control"]))
    return GateRowView(
        outcome=WORDS[verdict],
        mark=MARKS[verdict],
        sentence=f"{row['memory']} on {row['predictor']}, the best of "
        f"{int(row['num_memories_looked_at'])} on val, against {control}.",
        where=str(row["reason"]),
        numbers=number.interval(gain, low, high, decimals),
        asked=f"nats per frame; more than {number.plain(least)} over every required control",
        strip=strip_of(gain, low, high, [least]) if math.isfinite(gain) else None,
    )


def _table(data: ReportData, table: pd.DataFrame) -> TableView:
    rows = choose(table, part="eval")
    return make_table(
        "memory-controls", "Every memory against every control, on eval speakers", rows, COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/memory.csv",
        first=pd.Series(rows["slice"] == "all"), more="All slices",
    )  # fmt: skip


SECTION = SectionSpec(
    name="memory",
    title="Does lookup add anything?",
    lead=(
        "A memory looks an entry up by a discrete key of the context and changes the forecast by "
        "it. It helps only if it beats the best null, nets of its own size, the same table read "
        "with the keys of other frames, and its own entries in random places."
    ),
    needs=(),
    build=build,
)
