"""What every network of a comparison tried, and what was chosen."""

from engram_audio.report.data import ReportData
from engram_audio.report.published_tables import TABLES
from engram_audio.report.table_view import TableView, make_table, shown
from engram_audio.verdicts import number

NAMES = ("representation", "predictor", "memory", "arm", "head")
SCORES = ("select_nll_nats", "val_nll_nats", "select_less_val", "eval_nll_nats", "lost_nats")


def tuning_table(data: ReportData, name: str) -> TableView | None:
    """Return a table of tuned points; None where the study tunes nothing."""
    rows = data.table(name)
    if rows.empty:
        return None
    table = TABLES[name]
    declared = {column.name for column in table.columns}
    names = [name for name in NAMES if name in declared]
    columns = (
        *shown(table, *names, "point"),
        *shown(table, "dropout", "weight_decay", "learning_rate", form=_short),
        *shown(table, *SCORES, form=number.fixed),
        *shown(table, "is_chosen", "is_near_best", form=number.yes),
    )
    title = "What every network tried, and what was chosen"
    return make_table(
        name.replace("_", "-"), title, rows, columns,
        maximum_rows=data.settings.maximum_table_rows // 4, source=f"tables/{name}.csv",
    )  # fmt: skip


def _short(value: object) -> str:
    """A setting as a person wrote it."""
    return f"{number.as_float(value):g}"
