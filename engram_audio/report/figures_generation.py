"""What a memory in a generator gains over each other arm."""

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.generation.word import MEMORY
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import draw_marks

PARTS = {"eval": "eval speakers", "train": "train frames"}


@figure(
    "generation-gains",
    "What does the memory gain over each arm?",
    shows="Gain of the generator with memory over each other arm in nats per frame with intervals, "
    "on eval speakers and on train frames. Right of the dashed line the memory is better by more "
    "than the margin.",
    caption="A memory helps when it lies right of the dashed line against F, SMx, SM1, SMm and SMf "
    "alike. Against S alone it may be an extra branch, more work, or more numbers. A gain on train "
    "frames that eval speakers do not share is memorising. Marks without a bar have fewer than "
    "three seeds.",
    estimator="paired difference of mean NLL, mean over seeds",
    resampling="seeds and speakers (two-way t intervals)",
    assumption="every arm had the same tuning and the same number of steps",
    is_wide=True,
)
def gains_figure(
    canvas: svg.Canvas, data: ReportData, representation: str, generator: str
) -> Drawing | None:
    """Gains of SM after the longest training, one row per arm."""
    rows = longest(
        choose(
            data.tables["generation_gains"],
            representation=representation, generator=generator, arm=MEMORY,
        )
    )  # fmt: skip
    if rows.empty:
        return None
    others = list(dict.fromkeys(rows["against"]))
    places = np.arange(len(others))[::-1].astype(float)
    axis = canvas.panel(width_in=svg.WIDE_IN, height_in=1.4 + 0.4 * len(others))
    for number, (part, label) in enumerate(PARTS.items()):
        own = choose(rows, part=part).set_index("against").reindex(others)
        draw_marks(axis, own, "gain_nats", places - 0.2 * number, svg.SERIES[number], label)
    axis.axvline(float(rows["delta_nats"].iloc[0]), **svg.THRESHOLD)
    axis.set_yticks(places, others)
    axis.set_xlabel("gain of SM, nats per frame")
    canvas.legend(columns=2)
    columns = ["against", "part", "gain_nats", "gain_nats_low", "gain_nats_high", "num_seeds"]
    seeds, speakers = (rows[name].to_numpy(int).max() for name in ("num_seeds", "num_speakers"))
    return Drawing(
        rows.loc[:, columns],
        f"{seeds} seeds, {speakers} speakers",
        title=f"What does the memory gain over each arm? Generator {generator}",
    )


def longest(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the longest training of each generator."""
    return rows.loc[rows["num_steps"] == rows.groupby("generator")["num_steps"].transform("max")]
