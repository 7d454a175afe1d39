"""Tables of what a generator's gain costs and what it is made of, for the generation section."""

from engram_audio.artifacts.columns import Table
from engram_audio.generation.cost_columns import (
    GENERATION_COST,
    GENERATION_LADDER,
    GENERATION_PROBES,
    GENERATION_SHARE,
    GENERATION_WIDER,
)
from engram_audio.report.data import ReportData
from engram_audio.report.table_view import Column, TableView, make_table, shown
from engram_audio.verdicts import number

OF = ("representation", "generator")
COST = (
    *shown(GENERATION_COST, *OF, "quality", "budget"),
    *shown(GENERATION_COST, "multiplier", "reach", "multiplier_within_margin", "first_ratio",
           "last_ratio", form=number.fixed),
    *shown(GENERATION_COST, "num_seeds", "num_speakers"),
)  # fmt: skip
LADDER = (
    *shown(GENERATION_LADDER, *OF, "size"),
    *shown(GENERATION_LADDER, "f_gen_flops", "num_resident", form=number.count),
    *shown(GENERATION_LADDER, "width", "nll_nats", "energy_score", "num_seeds", "num_speakers"),
)
SHARE = (
    *shown(GENERATION_SHARE, *OF, "held", "word"),
    *shown(GENERATION_SHARE, "share", "share_trained", form=number.fixed),
    *shown(GENERATION_SHARE, "is_best", form=number.yes),
    *shown(GENERATION_SHARE, "nll_nats", "depth_nats"),
    *shown(GENERATION_SHARE, "f_gen_flops", "num_resident", form=number.count),
    *shown(GENERATION_SHARE, "width", "num_seeds", "num_speakers"),
)
WIDER = (
    *shown(GENERATION_WIDER, *OF, "width", "against", "gain_nats"),
    *shown(GENERATION_WIDER, "delta_nats", form=number.fixed),
    *shown(GENERATION_WIDER, "num_seeds", "num_speakers"),
)
PROBES = (
    *shown(GENERATION_PROBES, *OF, "arm", "probe", "condition", "measure", "value"),
    *shown(GENERATION_PROBES, "num_seeds", "num_speakers"),
)
BLOCKS: tuple[tuple[Table, str, tuple[Column, ...]], ...] = (
    (GENERATION_COST, "What SM's quality costs without a memory", COST),
    (GENERATION_LADDER, "The ladder: models without memory, and SM beside them", LADDER),
    (GENERATION_SHARE, "Shares of rows at one budget", SHARE),
    (GENERATION_WIDER, "SM in a wider backbone", WIDER),
    (GENERATION_PROBES, "Probes of the trained arms", PROBES),
)


def cost_tables(data: ReportData) -> list[TableView]:
    """Return a table of each question that a study asked; none of the others."""
    return [
        make_table(
            table.name.replace("_", "-"), caption, data.table(table.name), columns,
            maximum_rows=data.settings.maximum_table_rows // 4,
            source=f"tables/{table.name}.csv",
        )
        for table, caption, columns in BLOCKS
        if not data.table(table.name).empty
    ]  # fmt: skip
