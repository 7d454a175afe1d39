"""What coarse keys explain: figures, and every measurement in one table."""

from typing import Any

import pandas as pd

from engram_audio.report import figures_cells as cells
from engram_audio.report import figures_structure as figures
from engram_audio.report import number
from engram_audio.report.data import SURROGATE_MARK, ReportData
from engram_audio.report.figure import draw_within_share
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import Column, TableView, make_table

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
    Column("representation", "Representation", is_text=True),
    Column("key", "Key", is_text=True, help="Family, what it sees, how it is quantised."),
    Column("lag_frames", "Lag", "frames", "How stale the context is."),
    Column("slice", "Slice", is_text=True, help="Frames scored; everything is refitted inside."),
    Column("status", "Status", is_outcome=True, help="ok, or why there is no number."),
    Column(
        "ratio", "Ratio", "", "Error about train cell means over that about the grand mean.",
        "ratio_low", "ratio_high", form=number.fixed,
    ),
    Column("floor", "Floor", "", "What K cells could reach: the target oracle.", form=number.fixed),
    Column(
        "explained_fraction", "Explained fraction", "", "(1 - ratio) / (1 - floor).",
        "explained_fraction_low", "explained_fraction_high", form=number.fixed,
    ),
    Column(
        "ratio_best_surrogate", "Surrogate ratio", "", "Best surrogate: the null of the ratio.",
        form=number.fixed,
    ),
    Column(
        "advantage", "Advantage", "", "Explained fraction beyond the best surrogate's, paired.",
        "advantage_low", "advantage_high", form=number.fixed,
    ),
    Column(
        "control_permuted", "Permuted control", "", "Must be 1.",
        "control_permuted_low", "control_permuted_high", form=number.fixed,
    ),
    Column(
        "control_swapped", "Swapped control", "", "Must be 1.",
        "control_swapped_low", "control_swapped_high", form=number.fixed,
    ),
    Column(
        "transfer_loss", "Transfer loss", "", "1 - explained(eval) / explained(val).",
        "transfer_loss_low", "transfer_loss_high", form=number.fixed,
    ),
    Column(
        "nats_per_frame", "Information", "nats/frame", "Likelihood gained by knowing the cell.",
        "nats_per_frame_low", "nats_per_frame_high", form=number.fixed,
    ),
    Column(
        "bits_per_s", "Information", "bits/s", "Nats times frame rate over ln 2.",
        "bits_per_s_low", "bits_per_s_high", form=number.fixed,
    ),
    Column("bits_used_fraction", "Cells used", "of ln K", "Entropy of the key over ln K.",
           form=number.percent),
    Column("ratio_own_means_df_corrected", "Own-means ratio", "",
           "Means of the scored part, corrected for degrees of freedom.", form=number.fixed),
    Column("excluded_mass", "Excluded", "share", "Frames in cells too small.", form=number.percent),
    Column("num_speakers", "Speakers", "", "The n of the interval.", form=number.count),
    Column("num_frames", "Frames", "", "Scored frames.", form=number.count),
    Column("subspace", "Subspace", is_text=True, help="Principal directions of the step scored."),
    Column("part", "Part", is_text=True, help="val: train speakers; eval: speakers never seen."),
    Column("split_seed", "Split", help="Seed of the split; the first decides."),
)  # fmt: skip

NGRAM_COLUMNS = (
    Column("representation", "Representation", is_text=True),
    Column("key", "Key", is_text=True),
    Column("part", "Part", is_text=True),
    Column("order", "Order", "keys", "Length of the run of keys."),
    Column("minimum_count", "Seen at least", "times", "In train."),
    Column("coverage", "Coverage", "", "Share of runs seen that often in train; no interval.",
           form=number.percent),
    Column("num_ngrams", "Runs", "", "Runs within an utterance.", form=number.count),
)  # fmt: skip


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
            "subspace": table["subspace"] != "all" if "subspace" in table else False,
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
    )


def ngram_table(data: ReportData) -> TableView | None:
    """Return how many runs of keys eval shares with train, registered keys first."""
    table = data.tables.get("ngrams")
    if table is None or table.empty:
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
    title="What coarse keys explain",
    lead=(
        "A key sorts each frame's recent past into one of K cells; these figures ask how much the "
        "cell tells about the next step on speakers never seen. A ratio of 1 is nothing; the floor "
        "is the best that K cells could do."
    ),
    needs=("structure", "curves", "speakers"),
    build=build,
)
