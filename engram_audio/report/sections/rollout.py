"""Free running: what is kept of the attainable, who survives, and at what price."""

from typing import Any

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.report import figures_rollout as figures
from engram_audio.report.data import ReportData
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import TableView, make_table, shown
from engram_audio.report.verdict_rows import Group, by_subject
from engram_audio.rollout.columns import ROLLOUT, ROLLOUT_SWEEP
from engram_audio.rollout.verdicts import is_named
from engram_audio.verdicts import number

DRAW = (figures.kept_figure, figures.survival_figure)
COLUMNS = (
    *shown(ROLLOUT, "representation", "method", "mode", "guard", "inject_frames", "span",
           "horizon_frames"),
    *shown(
        ROLLOUT, "first_experiment_dnll", "kept_position", "kept_delta", "energy_skill",
        "kept_skill", "gain_seeds_position", "spread_ratio", "spread_ratio_excess", "std_ratio",
        "std_ratio_lowest", "step_ratio", "step_ratio_excess", "autocorrelation_error",
        "autocorrelation_error_excess", "spectrum_error", "spectrum_error_excess",
        "energy_distance", "energy_distance_excess", "off_support_share",
        "off_support_share_excess", "diverged_share", "diverged_share_true", "frozen_share",
        "frozen_share_true", "gate", "hit_rate", "coverage_90", "below_range", "above_range",
        form=number.fixed,
    ),
    *shown(ROLLOUT, "num_not_finite", form=number.count),
    *shown(ROLLOUT, "seed"),
)  # fmt: skip
SWEEP_COLUMNS = (
    *shown(ROLLOUT_SWEEP, "representation", "sweep", "method", "base", "horizon_frames",
           "teacher_weight", "state_weight"),
    *shown(ROLLOUT_SWEEP, "one_step_gain", "excess_distance", "kept_position", "spread_ratio",
           "std_ratio", "off_support_share", "diverged_share", form=number.fixed),
    *shown(ROLLOUT_SWEEP, "is_pareto", form=number.yes),
    *shown(ROLLOUT_SWEEP, "num_points"),
)  # fmt: skip

DECIDING = (
    "representation",
    "method",
    "mode",
    "horizon_frames",
    "kept_position",
    "kept_skill",
    "std_ratio",
    "energy_distance",
    "diverged_share",
    "frozen_share",
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather verdicts, figures and tables of every representation that runs free."""
    table = data.table("rollout")
    names = sorted({str(name) for name in table["representation"]})
    return {
        "groups": [_group(data, group) for group in by_subject(data.verdicts("rollout"), names)],
        "table": None if table.empty else _methods(data, table),
        "sweep": _sweep(data),
    }


def _group(data: ReportData, group: Group) -> dict[str, Any]:
    has_rows = len(choose(data.table("rollout"), representation=group.name))
    drawn = [draw(data, group.name) for draw in DRAW] if has_rows else []
    return {**group._asdict(), "figures": [figure for figure in drawn if figure]}


def _methods(data: ReportData, table: pd.DataFrame) -> TableView:
    first = (table["span"] == "up_to") & is_named(table) & (table["inject_frames"] == 0)
    return make_table(
        "rollout-methods", "Free running from eval starts", table, COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/rollout.csv",
        first=pd.Series(first), more="All horizons, injections and sweep points",
        deciding=DECIDING,
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
    place=90,
    title="Does it survive free running?",
    lead=(
        "Each method starts from true states of eval utterances and is fed its own output. "
        "Forecasts are compared with what is attainable at each horizon, and generated frames with "
        "true ones. A path that leaves the data or stops moving is counted, never averaged."
    ),
    needs=(),
    build=build,
)
