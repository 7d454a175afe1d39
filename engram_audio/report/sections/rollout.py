"""Free running: what is kept of the attainable, who survives, and at what price."""

import math
from typing import Any

import pandas as pd

from engram_audio.report import figures_rollout as figures
from engram_audio.report import number
from engram_audio.report.data import ReportData, choose, first_row
from engram_audio.report.gate_rows import GateRowView, strip_of
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import TableView, make_table, shown
from engram_audio.rollout.columns import ROLLOUT, ROLLOUT_SWEEP

MARKS, EXTREMES = ("bad", "open", "good"), ("lowest", "highest")
DRAW = (figures.kept_figure, figures.survival_figure)
COLUMNS = (
    *shown(ROLLOUT, "representation", "method", "mode", "guard", "inject_frames", "span",
           "horizon_frames"),
    *shown(
        ROLLOUT, "first_experiment_dnll", "kept_position", "kept_delta", "energy_skill",
        "kept_skill", "gain_position", "std_ratio", "std_ratio_lowest", "step_ratio",
        "autocorrelation_error", "spectrum_error", "energy_distance", "energy_distance_floor",
        "diverged_share", "frozen_share", "frozen_share_true", "gate", "hit_rate", "coverage_90",
        form=number.fixed,
    ),
    *shown(ROLLOUT, "seed"),
)  # fmt: skip
SWEEP_COLUMNS = (
    *shown(ROLLOUT_SWEEP, "representation", "sweep", "method", "base", "horizon_frames",
           "teacher_weight", "state_weight"),
    *shown(ROLLOUT_SWEEP, "one_step_gain", "excess_distance", "kept_position", "std_ratio",
           "diverged_share", form=number.fixed),
    *shown(ROLLOUT_SWEEP, "is_pareto", form=number.yes),
    *shown(ROLLOUT_SWEEP, "num_points"),
)  # fmt: skip


def build(data: ReportData) -> dict[str, Any]:
    """Gather rows, figures and tables of every representation that runs free."""
    table = data.table("rollout")
    if table.empty:
        return {"groups": [], "table": None, "sweep": None}
    names = sorted(
        set(table["representation"].astype(str)),
        key=lambda name: (name != data.registered["representation"], name),
    )
    return {
        "groups": [_group(data, name) for name in names],
        "table": _methods(data, table),
        "sweep": _sweep(data),
    }


def _group(data: ReportData, name: str) -> dict[str, Any]:
    rows = figures.named_rows(data, name)
    methods = sorted(set(rows.loc[rows["mode"] == "sampled", "method"]))
    forecasters = sorted(set(rows.loc[rows["mode"] == "forecast", "method"]))
    views = [_verdict(data, rows, method) for method in methods]
    views += [_forecaster(rows, method) for method in forecasters]
    drawn = [figure for draw in DRAW if (figure := draw(data, name)) is not None]
    return {"name": name, "rows": views, "figures": drawn}


def _row(rows: pd.DataFrame, mode: str, span: str) -> dict[str, Any]:
    """Return one run's row: summed up to K, or at the longest horizon."""
    found = choose(rows, mode=mode, span=span)
    return first_row(found.sort_values("horizon_frames").iloc[::-1])


def _verdict(data: ReportData, rows: pd.DataFrame, method: str) -> GateRowView:
    """Return whether sampled runs of a method survive, by its weakest training seed."""
    own = choose(rows, method=method)
    bars = data.sections["rollout.bars"]
    views = {
        seed: _verdict_of(choose(own, seed=seed), method, bars) for seed in sorted(set(own["seed"]))
    }
    seed = min(views, key=lambda each: MARKS.index(views[each].mark))
    if len(views) == 1:
        return views[seed]
    where = f"{views[seed].where}; seed {seed}, the weakest of {len(views)}"
    return views[seed]._replace(where=where)


def _verdict_of(rows: pd.DataFrame, method: str, bars: dict[str, Any]) -> GateRowView:
    kept, late = (_row(rows, "sampled", span) for span in ("up_to", "at"))
    outcome, mark = judge(kept, late, bars)
    value, low, high = _ends(kept, "kept_position")
    lowest, highest = (number.fixed(_number(late, f"std_ratio_{e}"), 2) for e in EXTREMES)
    sentence = (
        f"{method}: keeps {number.fixed(value, 2)} of what is attainable about x up to "
        f"{number.count(kept['horizon_frames'])} frames and "
        f"{number.fixed(_number(kept, 'kept_skill'), 2)} of the energy skill; after "
        f"{number.count(late['horizon_frames'])} frames "
        f"{number.count(late['num_diverged'])} of {number.count(late['num_paths'])} paths "
        f"have blown up, SD ratio {number.fixed(_number(late, 'std_ratio'), 2)} ({lowest} to "
        f"{highest} over dimensions), energy distance {number.fixed(_excess(late), 3)} above its "
        "floor."
    )
    return GateRowView(
        outcome=outcome, mark=mark, sentence=sentence,
        where=_where(kept, _row(rows, "mean", "at")),
        numbers=number.interval(value, low, high),
        asked=f"asked: above {number.fixed(bars['minimum_kept'], 2)}",
        strip=strip_of(value, low, high, [bars["minimum_kept"]]),
    )  # fmt: skip


def _where(kept: dict[str, Any], mean: dict[str, Any]) -> str:
    """Return what takes the steps, what it gains over its own base, and whether its mean stops."""
    where = f"{kept['kind']}, base {kept['base']}"
    if str(kept["guard"]) not in ("", "nan"):
        where += f", guard {kept['guard']}"
    if str(kept["partner_method"]) not in ("", "nan"):
        where += (
            f"; over {kept['partner_method']}: "
            f"{number.interval(*_ends(kept, 'gain_position'))} nats/frame about x, "
            f"{number.interval(*_ends(kept, 'gain_skill'))} of energy skill"
        )
    if _number(mean, "frozen_share") > 0.5:
        where += f"; its mean path freezes: SD ratio {number.fixed(_number(mean, 'std_ratio'), 3)}"
    return where


def _excess(late: dict[str, Any]) -> float:
    return _number(late, "energy_distance") - _number(late, "energy_distance_floor")


def judge(kept: dict[str, Any], late: dict[str, Any], bars: dict[str, Any]) -> tuple[str, str]:
    """Return the verdict on sampled runs and its colour; the first fault names it.

    What has no number meets no bar: then only a fault that is seen can end in a verdict.
    """
    low, high = bars["std_ratio_range"]
    diverged, ratio = _number(late, "diverged_share"), _number(late, "std_ratio")
    excess, frozen = _excess(late), _number(late, "frozen_excess")
    if diverged > bars["maximum_blown_share"]:
        return "blows up", "bad"
    if frozen > bars["maximum_frozen_share"]:
        return "freezes", "bad"
    if ratio < low or ratio > high or excess > bars["maximum_excess_distance"]:
        return "bends the law", "bad"
    _, kept_low, kept_high = _ends(kept, "kept_position")
    _, skill_low, skill_high = _ends(kept, "kept_skill")
    if kept_high < bars["minimum_kept"] or skill_high < bars["minimum_skill"]:
        return "loses skill", "bad"
    is_known = all(map(math.isfinite, (diverged, frozen, ratio, excess)))
    if is_known and kept_low >= bars["minimum_kept"] and skill_low >= bars["minimum_skill"]:
        return "survives", "good"
    return "open", "open"


def _forecaster(rows: pd.DataFrame, method: str) -> GateRowView:
    """Return what a forecaster says, beside the others."""
    own = choose(rows, method=method)
    kept = _row(choose(own, seed=own["seed"].min()), "forecast", "up_to")
    value, low, high = _ends(kept, "dnll_position")
    return GateRowView(
        outcome="beside",
        mark="",
        sentence=f"{method}: forecasts x up to {number.count(kept['horizon_frames'])} frames "
        f"with {number.fixed(-value, 2)} nats/frame over the marginal.",
        where="a forecast of every horizon, not a generator; the best forecast on val, of any "
        "method, is the attainable",
        numbers=number.interval(-value, -high, -low),
        asked="null: 0",
        strip=strip_of(-value, -high, -low, [0.0]),
    )


def _number(row: dict[str, Any], name: str) -> float:
    return number.as_float(row[name])


def _ends(row: dict[str, Any], name: str) -> tuple[float, float, float]:
    value, low, high = (_number(row, f"{name}{end}") for end in ("", "_low", "_high"))
    return value, low, high


def _methods(data: ReportData, table: pd.DataFrame) -> TableView:
    first = (table["span"] == "up_to") & figures.is_named(table) & (table["inject_frames"] == 0)
    return make_table(
        "rollout-methods", "Free running from eval starts", table, COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/rollout.csv",
        first=pd.Series(first), more="All horizons, injections and sweep points",
    )  # fmt: skip


def _sweep(data: ReportData) -> TableView | None:
    table = data.table("rollout_sweep")
    if table.empty:
        return None
    return make_table(
        "rollout-sweep", "One-step gain against rollout health: every method that takes steps",
        table, SWEEP_COLUMNS, maximum_rows=data.settings.maximum_table_rows // 4,
        source="tables/rollout_sweep.csv",
    )  # fmt: skip


SECTION = SectionSpec(
    name="rollout",
    title="Does it survive free running?",
    lead=(
        "Each method starts from true states of eval utterances and lives on its own output. "
        "Forecasts are compared with what is attainable at each horizon, generated frames with "
        "true ones; a path that leaves the data or stops moving is counted, never averaged."
    ),
    needs=(),
    build=build,
)
