"""What the past tells about a frame against how well it sounds decoded, one line per ladder."""

import numpy as np
import pandas as pd

from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import FigureView, content_id, csv_text

X, Y = "log_mel_l1", "information_bits_per_s"


def frontier_figure(data: ReportData) -> FigureView | None:
    """Information against distortion; filled marks are on their ladder's front."""
    table = data.tables["frontier"]
    if table.empty:
        return None
    known = np.isfinite(table[X].to_numpy(float)) & np.isfinite(table[Y].to_numpy(float))
    rows = table.loc[known]
    if rows.empty:
        return None
    names = list(dict.fromkeys(rows["ladder"].astype(str)))
    with svg.canvas(svg.WIDE_IN, 4.0) as (figure, (axis,)):
        for number, ladder in enumerate(names):
            part = rows.loc[rows["ladder"].astype(str) == ladder]
            _draw_ladder(axis, part, ladder, svg.SERIES[number % len(svg.SERIES)])
        axis.set_xlabel("distortion: log-mel distance of decoded speech (left is better)")
        axis.set_ylabel("what the past tells of a frame, bits/s")
        axis.set_xlim(left=0)
        figure.legend(loc="outside lower center", ncols=3)
        name, title = content_id("fig", "codecs", "frontier"), "Rate, distortion, predictability"
        drawing = svg.inline_svg(
            figure, name, title,
            "Conditional information in bits per second against the log-mel distance of decoded "
            "speech; points of a ladder are joined from coarse to fine, filled marks are beaten by "
            "no other point of their ladder.",
        )  # fmt: skip
    columns = ["ladder", "step", "representation", "frame_rate_hz", "num_dims", "bits_per_s"]
    columns += [f"{label}{end}" for label in (X, Y) for end in ("", "_low", "_high")]
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows[[*columns, "is_pareto"]]),
        caption=(
            "If coarser latents are easier to predict at the same distortion, a ladder bends up to "
            "the left. Information holds within one frame rate; rates and dimensions stand in the "
            "table. Filled: no other point of a ladder of one rate has less distortion and more "
            "information."
        ),
        estimator="best predictor (chosen on val) over the best law without context, eval frames; "
        "mean distance over decoded utterances",
        num_samples=f"{len(rows)} points on {len(names)} ladders",
        resampling="speaker (t intervals)",
        assumption="information is a lower bound: a better model may find more, and not equally "
        "much on each point",
        is_wide=True,
    )


def _draw_ladder(axis: svg.Axes, part: pd.DataFrame, ladder: str, color: str) -> None:
    x, y = part[X].to_numpy(float), part[Y].to_numpy(float)
    gaps = []
    for label, values in ((X, x), (Y, y)):
        low, high = (part[f"{label}_{end}"].to_numpy(float) for end in ("low", "high"))
        gaps.append(np.nan_to_num(np.maximum([values - low, high - values], 0.0)))
    axis.errorbar(
        x, y, xerr=gaps[0], yerr=gaps[1], color=color, linewidth=1, elinewidth=0.7, label=ladder,
    )  # fmt: skip
    front = np.array([str(value) == "True" for value in part["is_pareto"]])
    axis.plot(x[front], y[front], "o", color=color, markersize=5)
    axis.plot(x[~front], y[~front], "o", color=color, markersize=5, fillstyle="none")
    for name, left, up in zip(part["representation"].astype(str), x, y, strict=True):
        axis.annotate(name, (left, up), (4, 4), textcoords="offset points", fontsize=6.5)
