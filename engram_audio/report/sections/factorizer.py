"""Predictable state and innovation: honest bound, rate, and whether the split is used."""

import math
from typing import Any

import pandas as pd

from engram_audio.factorizer.columns import FACTORIZER, FACTORIZER_STATES, FACTORIZER_SWEEP
from engram_audio.report import figures_factorizer as figures
from engram_audio.report import number
from engram_audio.report.data import ReportData, choose
from engram_audio.report.gate_rows import GateRowView, strip_of
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import TableView, make_table, shown

DRAW = (figures.usage_figure, figures.frontier_figure)
COLUMNS = (
    *shown(FACTORIZER, "representation", "factorizer", "rate_accounting", "state_dims"),
    *shown(
        FACTORIZER, "information_nats", "direct_information_nats", "gain_over_direct_nats",
        "innovation_bits_per_s", "weighted_bits_per_s", "error_posterior", "error_predicted",
        "cost_shuffled_rec", "cost_shuffled_dyn", "state_movement", form=number.fixed,
    ),
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


def build(data: ReportData) -> dict[str, Any]:
    """Gather rows, figures and tables of every factorised representation."""
    table = data.table("factorizer")
    if table.empty:
        return {"groups": [], "table": None, "states": None, "sweep": None}
    names = sorted(
        set(table["representation"].astype(str)),
        key=lambda name: (name != data.registered["representation"], name),
    )
    return {
        "groups": [_group(data, name) for name in names],
        "table": _variants(data, table),
        "states": _states(data),
        "sweep": _sweep(data),
    }


def _group(data: ReportData, name: str) -> dict[str, Any]:
    rows = choose(data.tables["factorizer"], representation=name, part="eval", slice="all")
    rows = rows.loc[(rows["seed"] == rows["seed"].min()) & ~_is_swept(rows)]
    drawn = [figure for draw in DRAW if (figure := draw(data, name)) is not None]
    return {
        "name": name,
        "rows": [_headline(row) for row in rows.to_dict("records")],
        "figures": drawn,
    }


def _is_swept(rows: pd.DataFrame) -> pd.Series:
    return pd.Series([str(name) not in ("", "nan") for name in rows["sweep"]], index=rows.index)


def _headline(row: dict[str, Any]) -> GateRowView:
    """Return a variant's verdict: honest, used, and how its bound compares."""
    gain, low, high = (
        number.as_float(row[f"gain_over_direct_nats{end}"]) for end in ("", "_low", "_high")
    )
    collapse = "" if pd.isna(row["collapse"]) else str(row["collapse"])
    outcome, mark = _outcome(row, collapse)
    decimals = number.decimals_of_width(high - low) if math.isfinite(high - low) else 2
    information = number.fixed(row["information_nats"], decimals)
    text = f"{row['factorizer']}: the past tells at least {information} nats/frame of x_t"
    if math.isfinite(number.as_float(row["innovation_bits_per_s"])):
        text += f", the innovation takes {number.fixed(row['innovation_bits_per_s'], 0)} bits/s"
    text += f" at {number.fixed(row['error_posterior'], 3)} of the variance"
    return GateRowView(
        outcome=outcome,
        mark=mark,
        sentence=f"{text}.",
        where=collapse or f"bound against {row['best_direct']}, the best direct predictor on val",
        numbers=number.interval(gain, low, high, decimals),
        asked="beyond the direct predictor; 0: as good",
        strip=strip_of(gain, low, high, [0.0]) if math.isfinite(gain) else None,
    )


def _outcome(row: dict[str, Any], collapse: str) -> tuple[str, str]:
    if collapse:
        return "collapsed", "bad"
    if not bool(row["is_honest"]):
        return "not honest", "bad"
    costs = [number.as_float(row[f"cost_{case}_low"]) for case in ("shuffled_rec", "shuffled_dyn")]
    return ("used", "good") if min(costs) > 0 else ("open", "open")


def _variants(data: ReportData, table: pd.DataFrame) -> TableView:
    rows = choose(table, part="eval")
    first = pd.Series(rows["slice"] == "all") & ~_is_swept(rows)
    return make_table(
        "factorizer-variants", "Factorisers on eval speakers", rows, COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/factorizer.csv",
        first=first, more="All slices and sweep points",
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
    title="A predictable state, an honest innovation",
    lead=(
        "Latents are factorised into z_dyn, which the past predicts, and z_rec, what is new in a "
        "frame. The bound on -log p(x | past) is in the units of x, so it stands beside the direct "
        "predictors; a z_dyn that sees the frame must pay for it."
    ),
    needs=(),
    build=build,
)
