"""Does lookup add anything? Every memory beside every control."""

from typing import Any

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.memory.columns import MEMORY
from engram_audio.memory.names import CONTROL_WORDS
from engram_audio.report.data import ReportData
from engram_audio.report.figures_memory import curve_figure, gains_figure
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import TableView, make_table, shown
from engram_audio.report.tuning_table import tuning_table
from engram_audio.report.verdict_rows import Group, by_subject
from engram_audio.verdicts import number

COLUMNS = (
    *shown(MEMORY, "representation", "lag_frames", "memory", "predictor"),
    *shown(MEMORY, "control", form=lambda name: CONTROL_WORDS.get(str(name), str(name))),
    *shown(
        MEMORY, "gain_seeds_nats", "control_gain_nats", "gate", "hit_rate", "first_hit_rate",
        "num_slots_used", "slot_perplexity", "num_slots", form=number.fixed,
    ),
    *shown(MEMORY, "num_parameters", "num_control_parameters"),
    *shown(MEMORY, "control_misfit"),
    *shown(MEMORY, "is_off", form=lambda is_off: "off" if number.yes(is_off) else "on"),
    *shown(MEMORY, "slice", "num_seeds"),
)  # fmt: skip

DECIDING = (
    "representation",
    "lag_frames",
    "memory",
    "predictor",
    "control",
    "gain_nats",
    "control_gain_nats",
    "hit_rate",
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather verdicts, figures and the table."""
    table = data.table("memory")
    names = sorted({str(name) for name in table["representation"]})
    return {
        "groups": [_group(data, group) for group in by_subject(data.verdicts("memory"), names)],
        "table": None if table.empty else _table(data, table),
        "tuning": tuning_table(data, "memory_tuning"),
    }


def _group(data: ReportData, group: Group) -> dict[str, Any]:
    lags = choose(data.table("memory"), representation=group.name)["lag_frames"]
    drawn = (
        draw(data, group.name, lag)
        for lag in sorted({int(lag) for lag in lags})
        for draw in (gains_figure, curve_figure)
    )
    return {**group._asdict(), "figures": [figure for figure in drawn if figure]}


def _table(data: ReportData, table: pd.DataFrame) -> TableView:
    rows = choose(table, part="eval", seed=table["seed"].min())  # each row holds all seeds' mean
    return make_table(
        "memory-controls", "Every memory against every control, on eval speakers", rows, COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/memory.csv",
        first=pd.Series(rows["slice"] == "all"), more="All slices",
        deciding=DECIDING,
    )  # fmt: skip


SECTION = SectionSpec(
    name="memory",
    place=80,
    title="Does lookup add anything?",
    lead=(
        "A memory looks an entry up by a discrete key of the context and changes the forecast by "
        "it. It helps only if it beats four controls. These are the best null, networks of its own "
        "size, the same table read with the keys of other frames, and its entries shuffled."
    ),
    needs=(),
    build=build,
)
