"""How often the gate errs and intervals cover, drawn from simulated studies."""

import pandas as pd

from engram_audio.report import svg
from engram_audio.report.figure import FigureView, content_id, csv_text

INTERVAL_LABELS = {
    "speaker_t": "t over speakers (decides)",
    "speaker_bootstrap": "bootstrap over speakers",
    "frame": "frames taken for independent",
}
INTERVAL_COLORS = {
    "speaker_t": svg.BLUE, "speaker_bootstrap": svg.GREEN, "frame": svg.VERMILION,
}  # fmt: skip


def power_figure(power: pd.DataFrame) -> FigureView:
    """Shares of PROCEED and STOP against the true effect, one panel for each number of speakers."""
    sizes = sorted(set(power["num_speakers"]))
    with svg.canvas(svg.WIDE_IN, 2.8, columns=len(sizes)) as (figure, axes):
        for axis, size in zip(axes, sizes, strict=True):
            rows = power.loc[power["num_speakers"] == size].sort_values("effect")
            for name, color in (("proceed", svg.BLUE), ("stop", svg.VERMILION)):
                axis.plot(
                    rows["effect"], rows[name], "-", marker="o", color=color, label=name.upper()
                )
            axis.axvline(0, color=svg.INK, linewidth=1, linestyle="--")
            axis.set_title(f"{int(size)} eval speakers")
            axis.set_xlabel("true explained fraction less threshold")
        axes[0].set_ylabel("share of studies")
        axes[0].set_ylim(-0.03, 1.03)
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        name, title = content_id("fig", "calibration", "power"), "How often the gate decides"
        drawing = svg.inline_svg(
            figure, name, title,
            "Shares of simulated studies that proceed or stop against the true effect; a dashed "
            "line is the threshold, where both would be errors.",
        )  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(power),
        caption=(
            "Left of the dashed line every PROCEED is false, right of it every STOP; between the "
            "curves lies UNDECIDED, which more speakers shrink."
        ),
        estimator="verdict of the operative gate on simulated sums of speakers",
        num_samples=f"{power['num_studies'].to_numpy(int).max()} studies for each point",
        resampling="none: studies are independent",
        assumption="a surrogate that explains nothing and no transfer loss",
        is_wide=True,
    )


def coverage_figure(coverage: pd.DataFrame) -> FigureView:
    """Coverage of intervals against the number of speakers."""
    nominal = float(coverage["nominal"].iloc[0])
    with svg.canvas() as (figure, (axis,)):
        for interval, label in INTERVAL_LABELS.items():
            rows = coverage.loc[coverage["interval"] == interval].sort_values("num_speakers")
            axis.plot(
                rows["num_speakers"], rows["coverage"], "-", marker="o", label=label,
                color=INTERVAL_COLORS[interval],
            )  # fmt: skip
        axis.axhline(nominal, color=svg.INK, linewidth=1, linestyle="--")
        axis.set_xscale("log")
        svg.plain_ticks(axis.xaxis)
        axis.set_xlabel("speakers")
        axis.set_ylabel("share of intervals that hold the truth")
        axis.set_ylim(0, 1.03)
        figure.legend(loc="outside lower center", ncols=1)
        name, title = content_id("fig", "calibration", "coverage"), "Coverage of intervals"
        drawing = svg.inline_svg(
            figure, name, title,
            "Coverage against the number of speakers for three kinds of interval; a dashed line is "
            "the nominal level.",
        )  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(coverage),
        caption=(
            "Frames of one speaker are alike: an interval that counts frames holds the truth far "
            "less often than it says. The t interval over speakers is what every verdict uses."
        ),
        estimator="share of simulated studies whose interval holds the true ratio",
        num_samples=f"{coverage['num_studies'].to_numpy(int).max()} studies for each point",
        resampling="speaker, where the interval says so",
        assumption="speakers differ as the settings of the simulation say",
    )
