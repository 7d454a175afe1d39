"""Predictable state and innovation: honest bound, rate, and whether the split is used."""

from typing import Any

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.factorizer.columns import FACTORIZER, FACTORIZER_STATES, FACTORIZER_SWEEP
from engram_audio.report import figures_factorizer as figures
from engram_audio.report.data import ReportData
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import TableView, make_table, shown
from engram_audio.report.verdict_rows import Group, by_subject
from engram_audio.verdicts import number

DRAW = (figures.usage_figure, figures.frontier_figure)
COLUMNS = (
    *shown(FACTORIZER, "representation", "factorizer", "rate_accounting", "state_dims"),
    *shown(
        FACTORIZER, "information_nats", "direct_information_nats", "gain_over_direct_nats",
        "innovation_bits_per_s", "weighted_bits_per_s", "error_posterior", "error_predicted",
        "cost_shuffled_rec", "cost_shuffled_dyn", "state_movement", "state_use_nats",
        form=number.fixed,
    ),
    *shown(FACTORIZER, "bound_context", "direct_context"),
    *shown(FACTORIZER, "collapse", "slice", "seed"),
)  # fmt: skip
STATE_COLUMNS = (
    *shown(FACTORIZER_STATES, "representation", "source", "metric", "key", "lag_frames"),
    *shown(FACTORIZER_STATES, "value", "null", "source_value", "source_null", form=number.fixed),
    *shown(FACTORIZER_STATES, "null_name"),
)
SWEEP_COLUMNS = (
    *shown(FACTORIZER_SWEEP, "representation", "sweep", "factorizer", "state_dims", "target_nats"),
    *shown(FACTORIZER_SWEEP, "rate_nats", "error_posterior", "information_nats", form=number.fixed),
    *shown(FACTORIZER_SWEEP, "is_pareto", form=number.yes),
    *shown(FACTORIZER_SWEEP, "num_points"),
)

DECIDING = (
    "representation",
    "factorizer",
    "information_nats",
    "gain_over_direct_nats",
    "error_posterior",
    "cost_shuffled_rec",
    "cost_shuffled_dyn",
    "collapse",
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather verdicts, figures and tables of every factorised representation."""
    table = data.table("factorizer")
    names = sorted({str(name) for name in table["representation"]})
    return {
        "groups": [_group(data, group) for group in by_subject(data.verdicts("factorizer"), names)],
        "table": None if table.empty else _variants(data, table),
        "states": _states(data),
        "sweep": _sweep(data),
    }


def _group(data: ReportData, group: Group) -> dict[str, Any]:
    has_rows = len(choose(data.table("factorizer"), representation=group.name))
    drawn = [draw(data, group.name) for draw in DRAW] if has_rows else []
    return {**group._asdict(), "figures": [figure for figure in drawn if figure]}


def _is_swept(rows: pd.DataFrame) -> pd.Series:
    return pd.Series([str(name) not in ("", "nan") for name in rows["sweep"]], index=rows.index)


def _variants(data: ReportData, table: pd.DataFrame) -> TableView:
    rows = choose(table, part="eval")
    first = pd.Series(rows["slice"] == "all") & ~_is_swept(rows)
    return make_table(
        "factorizer-variants", "Factorisers on eval speakers", rows, COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/factorizer.csv",
        first=first, more="All slices and sweep points",
        deciding=DECIDING,
    )  # fmt: skip


def _states(data: ReportData) -> TableView | None:
    table = data.table("factorizer_states")
    if table.empty:
        return None
    keys = data.registered["keys"]
    pairs = zip(table["metric"], table["key"], strict=True)
    shown = [metric != "explained fraction" or key in keys for metric, key in pairs]
    return make_table(
        "factorizer-states", "Raw latents against z_dyn, each beside its nulls", table,
        STATE_COLUMNS, maximum_rows=data.settings.maximum_table_rows // 4,
        source="tables/factorizer_states.csv", first=pd.Series(shown, index=table.index),
        more="All keys",
    )  # fmt: skip


def _sweep(data: ReportData) -> TableView | None:
    table = data.table("factorizer_sweep")
    if table.empty:
        return None
    return make_table(
        "factorizer-sweep", "Sweeps: every point, on eval speakers", table, SWEEP_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/factorizer_sweep.csv",
    )  # fmt: skip


SECTION = SectionSpec(
    name="factorizer",
    place=70,
    title="A predictable state, an honest innovation",
    lead=(
        "Latents are factorised into z_dyn, which the past predicts, and z_rec, what is new in a "
        "frame. The bound on -log p(x | past) is in the units of x, so it can be compared with the "
        "direct predictors. A z_dyn that sees the frame must pay for it."
    ),
    needs=(),
    build=build,
)
