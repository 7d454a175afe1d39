"""How often the gate errs and intervals cover, drawn from simulated studies."""

import pandas as pd

from engram_audio.report import svg
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import Look, draw_line, draw_lines

DECISIONS = {
    "proceed": Look(svg.BLUE, "PROCEED"),
    "stop": Look(svg.VERMILION, "STOP"),
}
INTERVALS = {
    "speaker_t": Look(svg.BLUE, "t over speakers (decides)"),
    "speaker_bootstrap": Look(svg.GREEN, "bootstrap over speakers"),
    "frame": Look(svg.VERMILION, "frames taken for independent"),
}


@figure(
    "calibration-power",
    "How often the gate decides",
    shows="Shares of simulated studies that proceed or stop against the true effect; a dashed line "
    "is the threshold, where both would be errors.",
    caption="Left of the dashed line every PROCEED is false, right of it every STOP; between the "
    "curves lies UNDECIDED, which more speakers shrink.",
    estimator="verdict of the operative gate on simulated sums of speakers",
    resampling="none: studies are independent",
    assumption="a surrogate that explains nothing and no transfer loss",
    is_wide=True,
)
def power_figure(canvas: svg.Canvas, power: pd.DataFrame) -> Drawing:
    """Shares of PROCEED and STOP against the true effect, one panel for each number of speakers."""
    sizes = sorted(set(power["num_speakers"]))
    axes = canvas.panels(len(sizes), width_in=svg.WIDE_IN, height_in=2.8)
    for axis, size in zip(axes, sizes, strict=True):
        rows = power.loc[power["num_speakers"] == size]
        for column, look in DECISIONS.items():
            draw_line(axis, rows, "effect", column, look)
        axis.axvline(0, **svg.THRESHOLD)
        axis.set(
            title=f"{int(size)} eval speakers", xlabel="true explained fraction less threshold"
        )
    axes[0].set(ylabel="share of studies", ylim=(-0.03, 1.03))
    canvas.legend(columns=2)
    return Drawing(power, _studies_words(power))


@figure(
    "calibration-coverage",
    "Coverage of intervals",
    shows="Coverage against the number of speakers for three kinds of interval; a dashed line is "
    "the nominal level.",
    caption="Frames of one speaker are alike: an interval that counts frames holds the truth far "
    "less often than it says. The t interval over speakers is what every verdict uses.",
    estimator="share of simulated studies whose interval holds the true ratio",
    resampling="speaker, where the interval says so",
    assumption="speakers differ as the settings of the simulation say",
)
def coverage_figure(canvas: svg.Canvas, coverage: pd.DataFrame) -> Drawing:
    """Coverage of intervals against the number of speakers."""
    axis = canvas.panel()
    draw_lines(axis, coverage, "interval", "num_speakers", "coverage", INTERVALS)
    axis.axhline(float(coverage["nominal"].iloc[0]), **svg.THRESHOLD)
    axis.set_xscale("log")
    svg.plain_ticks(axis.xaxis)
    axis.set(xlabel="speakers", ylabel="share of intervals that hold the truth", ylim=(0, 1.03))
    canvas.legend()
    return Drawing(coverage, _studies_words(coverage))


def _studies_words(table: pd.DataFrame) -> str:
    return f"{table['num_studies'].to_numpy(int).max()} studies for each point"
