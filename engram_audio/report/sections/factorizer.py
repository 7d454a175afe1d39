"""Predictable state and innovation: honest bound, rate, and whether the split is used."""

import math
from typing import Any

import pandas as pd

from engram_audio.report import figures_factorizer as figures
from engram_audio.report import number
from engram_audio.report.data import ReportData, choose
from engram_audio.report.gate_rows import GateRowView, strip_of
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, TableView, make_table, with_ends

DRAW = (figures.usage_figure, figures.frontier_figure)


COLUMNS = (
    Column("representation", "Representation", is_text=True),
    Column("factorizer", "Factoriser", is_text=True),
    Column("rate_accounting", "z_dyn is", is_text=True, help="charged: sees x_t and pays for it; "
           "strictly_past: made of the past; free: sees x_t for nothing, its rate is not honest."),
    Column("state_dims", "z_dyn", "dims"),
    with_ends("information_nats", "Information", "nats/frame", "Bound in x space over the best "
               "marginal: what the past tells about x_t."),
    with_ends("direct_information_nats", "Direct predictor's", "nats/frame", "The same of the "
               "best direct predictor (best on val)."),
    with_ends("gain_over_direct_nats", "Beyond it", "nats/frame", "Paired on the same frames; "
               "below 0: the factoriser predicts worse."),
    with_ends("innovation_bits_per_s", "Innovation rate", "bits/s", "KL of z_dyn and z_rec."),
    with_ends("weighted_bits_per_s", "importance-weighted", "bits/s", "Less what the weighted "
               "bound takes off the plain one."),
    with_ends("error_posterior", "Error", "of variance", "Reconstruction as inferred."),
    with_ends("error_predicted", "from the past", "of variance", "Both parts as expected."),
    with_ends("cost_shuffled_rec", "Cost of shuffling z_rec", "of variance", "0: not used."),
    with_ends("cost_shuffled_dyn", "of shuffling z_dyn", "of variance", "0: not used."),
    Column("state_movement", "Movement", "", "Of z_dyn: 1 is white noise, 0 is frozen.",
           form=number.fixed),
    Column("collapse", "Collapse", is_text=True),
    Column("slice", "Slice", is_text=True),
    Column("seed", "Seed"),
)  # fmt: skip
STATE_COLUMNS = (
    Column("representation", "z_dyn", is_text=True),
    Column("source", "of", is_text=True),
    Column("metric", "Metric", is_text=True),
    Column("key", "Key or head", is_text=True),
    Column("lag_frames", "Lag", "frames"),
    with_ends("value", "z_dyn scores", "", "In unit-variance units."),
    Column("null", "its null", "", "What the null beside scores on z_dyn.", form=number.fixed),
    with_ends("source_value", "raw latents score", "", "The same metric on the source."),
    Column("source_null", "their null", form=number.fixed),
    Column("null_name", "Null", is_text=True),
)
SWEEP_COLUMNS = (
    Column("representation", "Representation", is_text=True),
    Column("sweep", "Sweep", is_text=True),
    Column("factorizer", "Point", is_text=True),
    Column("state_dims", "z_dyn", "dims"),
    Column("target_nats", "Rate aimed at", "nats/frame"),
    with_ends("rate_nats", "Rate", "nats/frame", "KL of both parts."),
    with_ends("error_posterior", "Error", "of variance", "Reconstruction as inferred."),
    with_ends("information_nats", "Information", "nats/frame", "Bound over the best marginal."),
    Column("front", "On the front", is_text=True, help="No other point has less rate and error."),
    Column("num_points", "Points looked at"),
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather rows, figures and tables of every factorised representation."""
    table = data.tables.get("factorizer")
    if table is None or table.empty:
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
    table = data.tables.get("factorizer_states")
    if table is None or table.empty:
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
    table = data.tables.get("factorizer_sweep")
    if table is None or table.empty:
        return None
    rows = table.assign(front=["yes" if bool(x) else "" for x in table["is_pareto"]])
    return make_table(
        "factorizer-sweep", "Sweeps: every point, on eval speakers", rows, SWEEP_COLUMNS,
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
