"""What a memory gains over each control, and what it costs."""

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.memory.names import CONTROL_WORDS
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import FigureView, content_id, csv_text

COLORS = (svg.BLUE, svg.VERMILION, svg.GREEN, svg.ORANGE)
MAXIMUM_MEMORIES = 4


def gains_figure(data: ReportData, representation: str, lag_frames: int) -> FigureView | None:
    """Gain over every control, one mark per memory: the best few on val."""
    rows = _rows(data, representation, lag_frames)
    rows = rows.loc[np.isfinite(rows["gain_nats"].to_numpy(float))]
    if rows.empty:
        return None
    on_val = _rows(data, representation, lag_frames, "val").sort_values("memory_nll_nats")
    pairs = zip(on_val["memory"], on_val["predictor"], strict=True)
    chosen = list(dict.fromkeys(pairs))[:MAXIMUM_MEMORIES]
    controls = [name for name in CONTROL_WORDS if name in set(rows["control"])]
    places = np.arange(len(controls))[::-1].astype(float)
    with svg.canvas(svg.WIDE_IN, 1.4 + 0.5 * len(controls)) as (figure, (axis,)):
        for number, (memory, base) in enumerate(chosen):
            own = rows.loc[(rows["memory"] == memory) & (rows["predictor"] == base)]
            own = own.set_index("control").reindex(controls)
            values = own["gain_nats"].to_numpy(float)
            low, high = (own[f"gain_nats_{end}"].to_numpy(float) for end in ("low", "high"))
            shift = 0.16 * (number - (len(chosen) - 1) / 2)
            axis.errorbar(
                values, places - shift, xerr=np.maximum([values - low, high - values], 0), fmt="o",
                color=COLORS[number], label=f"{memory} on {base}", markersize=4, linewidth=1,
            )  # fmt: skip
        axis.axvline(0.0, color=svg.INK, linewidth=1, linestyle="--")
        axis.set_yticks(places, [CONTROL_WORDS[name] for name in controls])
        axis.set_xscale("symlog", linthresh=0.1)
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")  # mathematics stays markup
        axis.set_xlabel("gain of the memory, nats per frame (linear between -0.1 and 0.1)")
        figure.legend(loc="outside lower center", ncols=2)
        name = content_id("fig", representation, f"memory-gains-{lag_frames}")
        title = f"Does lookup add anything? Lag {lag_frames}"
        drawing = svg.inline_svg(
            figure, name, title,
            "Gain of each memory over each control in nats per frame with intervals; right of the "
            "dashed line the memory is better.",
        )  # fmt: skip
    columns = [
        "memory", "predictor", "control", "gain_nats", "gain_nats_low", "gain_nats_high",
        "num_parameters", "num_control_parameters",
    ]  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows[columns]),
        caption=(
            "A memory helps when it lies right of the line against all of them but k-NN, which is "
            "a bound on thinned frames, and the constant gate: against nets of "
            "its own size (else it is capacity), against the keys of other frames (else it is "
            "regularisation), and against its own entries in random places (else no entry is read "
            "for what it is)."
        ),
        estimator="paired difference of mean NLL over eval speakers",
        num_samples=f"{int(rows['num_frames'].max())} frames of "
        f"{int(rows['num_speakers'].max())} speakers",
        resampling="speaker (t intervals)",
        assumption="the memories drawn are those with the best score on val",
        is_wide=True,
    )


def _rows(
    data: ReportData, representation: str, lag_frames: int, part: str = "eval"
) -> pd.DataFrame:
    table = data.tables["memory"]
    rows = choose(
        table, representation=representation, lag_frames=lag_frames, part=part, slice="all"
    )
    return rows.loc[rows["seed"] == rows["seed"].min()]
