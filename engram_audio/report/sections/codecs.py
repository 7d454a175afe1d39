"""Every codec of the study in one table, at native and at matched rates, and the frontier."""

from typing import Any

import pandas as pd

from engram_audio.comparison.columns import CODECS, FRONTIER
from engram_audio.report import figures_codecs
from engram_audio.report.data import ReportData
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, TableView, make_table, shown
from engram_audio.report.verdict_rows import view_rows
from engram_audio.verdicts import number

COLUMNS = (
    *shown(CODECS, "representation"),
    *shown(CODECS, "codec", form=number.words),
    *shown(CODECS, "frame_rate_hz", form=number.fixed),
    *shown(CODECS, "num_dims"),
    *shown(CODECS, "context_s", form=number.fixed),
    *shown(CODECS, "is_causal", form=number.yes_or_no),
    *shown(CODECS, "bits_per_s", form=number.count),
    *shown(CODECS, "rate_kind", form=number.words),
    *shown(
        CODECS, "log_mel_l1", "stoi", "pesq", "information_bits_per_s", "gain_bits_per_s",
        "added_fraction", "added_lag_s", form=number.fixed,
    ),
    *shown(CODECS, "marginal_has_stopped", form=number.yes_or_no),
    *shown(CODECS, "added_invalid_reason"),
    *shown(CODECS, "overlap_share", "truncation_loss", "static_share", form=number.fixed),
    *shown(CODECS, "within_group_share", form=number.percent),
    Column("tests", "Self-tests", is_text=True, help="Passed on the checkpoint before encoding."),
)  # fmt: skip
FRONTIER_COLUMNS = (
    *shown(FRONTIER, "ladder", "representation"),
    *shown(FRONTIER, "frame_rate_hz", form=number.fixed),
    *shown(FRONTIER, "num_dims"),
    *shown(FRONTIER, "bits_per_s", form=number.count),
    *shown(FRONTIER, "rate_kind", form=number.words),
    *shown(
        FRONTIER, "log_mel_l1", "stoi", "pesq", "information_nats_per_s", "information_bits_per_s",
        "information_share_of_bits", form=number.fixed,
    ),
    *shown(FRONTIER, "marginal_has_stopped", form=number.yes_or_no),
    *shown(FRONTIER, "is_pareto", form=number.yes),
)  # fmt: skip

DECIDING = (
    "representation",
    "codec",
    "frame_rate_hz",
    "num_dims",
    "is_causal",
    "bits_per_s",
    "log_mel_l1",
    "information_bits_per_s",
    "marginal_has_stopped",
    "gain_bits_per_s",
    "added_fraction",
    "overlap_share",
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather the answers, the table of codecs, the frontier."""
    codecs = data.tables["codecs"]
    return {
        "answers": view_rows(data.verdicts("comparison")),
        "table": _codecs(data, codecs),
        "figure": figures_codecs.frontier_figure(data),
        "frontier": _frontier(data),
        "absent": _absent(codecs),
        "frame_rates": sorted({number.plain(float(rate)) for rate in codecs["frame_rate_hz"]}),
    }


def _codecs(data: ReportData, codecs: pd.DataFrame) -> TableView:
    tests = zip(codecs["num_self_tests_passed"], codecs["num_self_tests"], strict=True)
    rows = codecs.assign(
        tests=[f"{int(passed)} of {int(run)}" if run else number.MISSING for passed, run in tests],
    )
    return make_table(
        "codecs-compared", "Codecs side by side, eval speakers", rows, COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/codecs.csv",
        deciding=DECIDING,
    )  # fmt: skip


def _frontier(data: ReportData) -> TableView | None:
    table = data.tables["frontier"]
    if table.empty:
        return None
    return make_table(
        "codecs-frontier", "Ladders, from coarse to fine", table, FRONTIER_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 4, source="tables/frontier.csv",
    )  # fmt: skip


def _absent(codecs: pd.DataFrame) -> list[str]:
    """Return the metrics that were not installed somewhere."""
    words = {word for cell in codecs["absent_metrics"] for word in number.words(cell).split()}
    return sorted(word.upper() for word in words)


SECTION = SectionSpec(
    name="codecs",
    place=100,
    title="Every codec, side by side",
    lead=(
        "The same measurements on every representation: how well it decodes, what its past tells, "
        "and how much of that is audio shared between frames. Compare information between rows of "
        "one frame rate only."
    ),
    needs=("codecs", "frontier"),
    build=build,
)
