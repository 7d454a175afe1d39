"""What the past tells about a frame against how well it sounds decoded, one line per ladder."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import gaps

X, Y = "log_mel_l1", "information_bits_per_s"


@figure(
    "codecs-frontier",
    "Rate, distortion, predictability",
    shows="Conditional information in bits per second against the log-mel distance of decoded "
    "speech. Points of a ladder are joined from coarse to fine. Filled marks are beaten by no "
    "other point of their ladder.",
    caption="If coarser latents are easier to predict at the same distortion, a ladder bends up to "
    "the left. Information holds within one frame rate. Rates and dimensions stand in the table. "
    "Filled: no other point of a ladder of one rate has less distortion and more information.",
    estimator="best predictor (chosen before eval) over the best law without context, eval frames; "
    "mean distance over decoded utterances",
    resampling="speaker (t intervals)",
    assumption="information lacks what the predictor misses and contains what the law without "
    "context misses, and not equally much on each point",
    is_wide=True,
)
def frontier_figure(canvas: svg.Canvas, data: ReportData) -> Drawing | None:
    """Information against distortion; filled marks are on their ladder's front."""
    table = data.tables["frontier"]
    rows = table.loc[np.isfinite(table[[X, Y]].to_numpy(float)).all(axis=1)]
    if rows.empty:
        return None
    ladders = rows["ladder"].astype(str)
    names = list(dict.fromkeys(ladders))
    axis = canvas.panel(width_in=svg.WIDE_IN, height_in=4.0)
    for name, color in svg.series(names).items():
        _draw_ladder(axis, rows.loc[ladders == name], name, color)
    axis.set(
        xlabel="distortion: log-mel distance of decoded speech (left is better)",
        ylabel="what the past tells of a frame, bits/s",
    )
    axis.set_xlim(left=0)
    canvas.legend(columns=3)
    columns = ["ladder", "step", "representation", "frame_rate_hz", "num_dims", "bits_per_s"]
    columns += [f"{label}{end}" for label in (X, Y) for end in ("", "_low", "_high")]
    words = f"{len(rows)} points on {len(names)} ladders"
    return Drawing(rows[[*columns, "is_pareto"]], words)


def _draw_ladder(axis: Axes, part: pd.DataFrame, ladder: str, color: str) -> None:
    x, y = part[X].to_numpy(float), part[Y].to_numpy(float)
    axis.errorbar(
        x, y, xerr=np.nan_to_num(gaps(part, X)), yerr=np.nan_to_num(gaps(part, Y)), color=color,
        linewidth=1, elinewidth=0.7, label=ladder,
    )  # fmt: skip
    front = np.array([str(value) == "True" for value in part["is_pareto"]])
    axis.plot(x[front], y[front], "o", color=color, markersize=5)
    axis.plot(x[~front], y[~front], "o", color=color, markersize=5, fillstyle="none")
    for name, left, up in zip(part["representation"].astype(str), x, y, strict=True):
        axis.annotate(name, (left, up), (4, 4), textcoords="offset points", fontsize=6.5)
