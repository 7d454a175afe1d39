"""Does lookup add anything? Every memory beside every control."""

import math
from typing import Any

import pandas as pd

from engram_audio.report import number
from engram_audio.report.data import ReportData, choose
from engram_audio.report.figures_memory import NAMES, gains_figure
from engram_audio.report.gate_rows import GateRowView, strip_of
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, TableView, make_table, plain_number, with_ends

MARKS = {"PROCEED": "good", "STOP": "bad", "UNDECIDED": "open"}
WORDS = {"PROCEED": "lookup helps", "STOP": "lookup does not help", "UNDECIDED": "undecided"}

COLUMNS = (
    Column("representation", "Representation", is_text=True),
    Column("lag_frames", "Lag", "frames"),
    Column("memory", "Memory", is_text=True),
    Column("predictor", "on", is_text=True, help="What it stands beside; linear: a linear null."),
    Column("control_title", "Against", is_text=True),
    with_ends("gain_nats", "Gain", "nats/frame", "NLL of the control less the memory's; positive: "
              "the memory is better. Empty for k-NN, which is scored on fewer frames."),
    with_ends("control_gain_nats", "Control's own", "nats/frame", "Of the control over the memory "
              "without its table; k-NN is a reference: a lookup that keeps every stored frame."),
    with_ends("gate", "Gate", "", "Mean weight of what is read."),
    with_ends("hit_rate", "Hits", "", "Share of frames whose key, of any order, train has seen."),
    with_ends("first_hit_rate", "of the first order", "", "Without falling back to a lower one."),
    plain_number("slots_used", "Slots used", "", "Entries that some frame has read."),
    plain_number("slot_perplexity", "Perplexity", "slots", "Of the use of slots."),
    plain_number("num_slots", "Slots", "", "Entries of the table."),
    Column("parameters", "Parameters", "", "Of the memory with what it stands on."),
    Column("control_parameters", "control's", ""),
    Column("capped", "Capped", is_text=True, help="yes: smaller than the memory, its width was "
           "capped."),
    Column("switched", "Val chose", is_text=True, help="off: no memory at all scored best on val."),
    Column("slice", "Slice", is_text=True),
    Column("seed", "Seed"),
)  # fmt: skip


def build(data: ReportData) -> dict[str, Any]:
    """Gather verdicts, figures and the table."""
    table, verdicts = data.tables.get("memory"), data.tables.get("memory_verdict")
    if table is None or verdicts is None or table.empty:
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
    rows = rows.assign(
        control_title=[NAMES.get(str(name), str(name)) for name in rows["control"]],
        capped=["yes" if bool(capped) else "" for capped in rows["is_control_capped"]],
        switched=["off" if bool(off) else "on" for off in rows["is_off"]],
    )
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
