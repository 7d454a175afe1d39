"""What coarse keys explain: figures, and every measurement in one table."""

from typing import Any

import pandas as pd

from engram_audio.report import figures_cells as cells
from engram_audio.report import figures_structure as figures
from engram_audio.report.data import SURROGATE_MARK, ReportData
from engram_audio.report.figure import draw_within_share
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import TableView, make_table, shown
from engram_audio.structure.columns import NGRAMS, STRUCTURE
from engram_audio.verdicts import number

DRAW = (
    figures.sweep_figure,
    cells.size_figure,
    cells.variance_figure,
    cells.scatter_figure,
    figures.curve_figure,
    figures.speaker_figure,
    figures.ngram_figure,
)

COLUMNS = (
    *shown(STRUCTURE, "representation", "key", "lag_frames", "slice"),
    *(column._replace(is_outcome=True, is_text=False) for column in shown(STRUCTURE, "status")),
    *shown(
        STRUCTURE, "added_fraction", "added", "attainable", "added_nats_per_frame",
        "added_bits_per_s", "linear_r2", "explained", "ratio", "control_permuted",
        "control_swapped", "transfer_loss", "key_information_nats_per_frame", "cost_of_fitting",
        form=number.fixed,
    ),
    *shown(STRUCTURE, "bits_used_fraction", form=number.percent),
    *shown(
        STRUCTURE, "excluded_mass", "oracle_excluded_mass", "largest_speaker_share",
        form=number.percent,
    ),
    *shown(STRUCTURE, "num_effective_speakers", form=number.fixed),
    *shown(STRUCTURE, "num_speakers", "num_frames", form=number.count),
    *shown(STRUCTURE, "subspace", "part", "split_seed"),
)  # fmt: skip
NGRAM_COLUMNS = (
    *shown(NGRAMS, "representation", "key", "part", "order", "minimum_count"),
    *shown(NGRAMS, "coverage", form=number.percent),
    *shown(NGRAMS, "num_ngrams", form=number.count),
)

DECIDING = (
    "representation",
    "key",
    "lag_frames",
    "slice",
    "status",
    "added_fraction",
    "added",
    "attainable",
    "added_nats_per_frame",
    "transfer_loss",
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather figures per representation, the table of all keys, and key n-grams."""
    groups, left_out = draw_within_share(
        data.base_representations(), lambda name: (draw(data, name) for draw in DRAW)
    )
    return {
        "groups": [{"name": name, "figures": drawn} for name, drawn in groups.items() if drawn],
        "left_out": left_out,
        "table": structure_table(data),
        "ngrams": ngram_table(data),
    }


def structure_table(data: ReportData) -> TableView:
    """Return the measurements: registered keys at the registered lag are shown at first."""
    table = data.tables["structure"]
    bases = data.base_representations()
    splits = {name: data.first_split(name) for name in bases}
    first_splits = [splits.get(name, -1) for name in table["representation"]]
    order = pd.DataFrame(
        {
            "surrogate": table["representation"].str.contains(SURROGATE_MARK),
            "other": table["representation"] != data.registered["representation"],
            "split": table["split_seed"] != first_splits,
            "subspace": table["subspace"] != "all",
            "part": table["part"] != "eval",
            "lag": table["lag_frames"] != data.registered["lag_frames"],
            "slice": table["slice"] != "all",
        }
    ).sort_values(
        ["surrogate", "split", "subspace", "part", "lag", "slice", "other"], kind="stable"
    )
    table = table.loc[order.index]
    registered = (
        table["key"].isin(data.registered["keys"])
        & (table["lag_frames"] == data.registered["lag_frames"])
        & ~order[["surrogate", "split", "subspace", "part"]].any(axis=1)
    )
    return make_table(
        "structure-table",
        "What each key explains",
        table,
        COLUMNS,
        maximum_rows=data.settings.maximum_table_rows,
        source="tables/structure.csv",
        first=registered,
        more="All keys, lags and parts",
        deciding=DECIDING,
    )


def ngram_table(data: ReportData) -> TableView | None:
    """Return how many runs of keys eval shares with train, registered keys first."""
    table = data.table("ngrams")
    if table.empty:
        return None
    base = ~table["representation"].str.contains(SURROGATE_MARK)
    return make_table(
        "ngram-table",
        "Runs of keys already seen in train",
        table.loc[base],
        NGRAM_COLUMNS,
        maximum_rows=data.settings.maximum_table_rows // 2,
        source="tables/ngrams.csv",
        first=table.loc[base, "key"].isin(data.registered["keys"]),
        more="All keys",
    )


SECTION = SectionSpec(
    name="structure",
    place=50,
    title="What coarse keys explain",
    lead=(
        "A key sorts each frame's recent past into one of K cells. The first figure shows what the "
        "cell adds to a linear model of the same past, on speakers never seen, as a share of the "
        "variance. 0 is nothing. The dashed line is what K cells of the target itself would add. "
        "The gate divides the two: that is the added fraction."
    ),
    needs=("structure", "curves", "speakers"),
    build=build,
)
