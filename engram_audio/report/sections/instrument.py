"""Calibration of the instrument: controls, surrogates and nulls beside the measurement."""

from typing import Any

from engram_audio.artifacts.columns import choose
from engram_audio.report import figures_instrument as figures
from engram_audio.report.data import ReportData
from engram_audio.report.figure import draw_within_share
from engram_audio.report.figures_gate import gate_figure
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.table_view import make_table, shown
from engram_audio.structure.columns import LINEAR

LINEAR_COLUMNS = shown(LINEAR, "representation", "model", "lag_frames", "r2", "cosine")

DRAW = (
    figures.variance_baseline,
    figures.direction_baseline,
    gate_figure,
    figures.control_figure,
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather control, surrogate and baseline figures of each base representation."""
    names = data.base_representations()
    linear = choose(data.tables["linear"], part="eval", slice="all", representation=names)
    splits = {name: data.first_split(name) for name in names}
    decides = [
        seed == splits[name]
        for name, seed in zip(linear["representation"], linear["split_seed"], strict=True)
    ]
    linear = linear.loc[decides]
    groups, left_out = draw_within_share(names, lambda name: (draw(data, name) for draw in DRAW))
    return {
        "groups": [{"name": name, "figures": drawn} for name, drawn in groups.items() if drawn],
        "left_out": left_out,
        "linear": make_table(
            "linear-baselines",
            "Linear baseline and its nulls, eval speakers, all frames",
            linear,
            LINEAR_COLUMNS,
            maximum_rows=data.settings.maximum_table_rows,
            source="tables/linear.csv",
        ),
    }


SECTION = SectionSpec(
    name="instrument",
    place=96,
    title="Does the instrument read zero where zero is true?",
    lead=(
        "This section measures things whose answer is known: keys that cannot know, surrogates "
        "without local structure, and nulls that look like structure. If these are off, nothing "
        "above can be believed."
    ),
    needs=("structure", "linear"),
    build=build,
)
