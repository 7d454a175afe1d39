"""Direction, magnitude and calibration of the heads beside their nulls."""

import functools

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from engram_audio.artifacts.columns import choose
from engram_audio.prediction.cells import TARGETS, Cells
from engram_audio.prediction.columns import PREDICTION
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import PLACE, Look, at_places, draw_line, place_ticks
from engram_audio.report.prediction_rows import (
    cells_of,
    registered_lag,
    speakers_words,
)
from engram_audio.verdicts import number

ANY_LAG = 0  # a law without context is scored once for all lags
KINDS = {"per_dimension": "each dimension", "density": "joint density"}


def _looks(**looks: Look) -> dict[str, Look]:
    """Return looks by column, with bars where the column is published with an interval."""
    declared = {column.name: column.has_interval for column in PREDICTION.columns}
    return {
        name: look._replace(interval="bars" if declared.get(name) else "")
        for name, look in looks.items()
    }


COSINES = _looks(
    cosine_mean=Look(svg.BLUE, "of the mean"),
    cosine_mean_null=Look(svg.BLUE, "of the mean, best null", ":", "s", True),
    cosine_sample=Look(svg.VERMILION, "of samples"),
    cosine_sample_null=Look(svg.VERMILION, "of samples, best null", ":", "s", True),
    cosine_white_noise=Look(svg.GREY, "white noise, many dimensions", "--", "x", True),
)
MAGNITUDES = _looks(
    log_magnitude_r2_mean=Look(svg.BLUE, "of the mean"),
    log_magnitude_r2_mean_null=Look(svg.BLUE, "of the mean, best null", ":", "s", True),
    log_magnitude_r2_sample=Look(svg.VERMILION, "of samples (calibrated)"),
    log_magnitude_r2_sample_null=Look(svg.VERMILION, "of samples, best null", ":", "s", True),
)

_scores = functools.partial(
    figure,
    resampling="speaker, where bars are drawn",
    assumption="directions are measured from 0 for the step, from the train mean for xₜ",
)


@_scores(
    "cosine",
    "Direction: cosine by mean and by sampling",
    shows="Cosine of prediction and truth against lag for each target: heads solid, best nulls "
    "dotted.",
    caption="Read each filled line against the dotted one of its colour. The mean cannot point two "
    "ways at once, so a law with two modes shows in the samples only. White noise reaches 0.707 in "
    "the step at lag 1 by mean reversion alone.",
    estimator="mean over eval frames of the cosine, head chosen before eval; samples "
    "on a thinned set",
)
def direction_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Cosine between prediction and truth, by mean and by sampling, beside the nulls."""
    drawn = _draw_targets(canvas, data, representation, COSINES)
    if drawn is None:
        return None
    axis, drawing = drawn
    axis.set_ylabel("cosine of prediction and truth")
    return drawing


@_scores(
    "log-magnitude",
    "Magnitude: R² of log length",
    shows="R² of the log magnitude against lag for each target: heads solid, best nulls dotted.",
    caption="The length of the mean is far below the typical length, so its R² is negative in any "
    "calibrated model and says nothing. The expected log length of samples is the fair forecast: "
    "above its null and above 0, magnitude is predictable. The scale is linear between "
    "\N{MINUS SIGN}1 and 1 and logarithmic beyond.",
    estimator="1 - squared error of log length / its variance, eval frames; no interval is "
    "published",
)
def magnitude_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """R^2 of the log magnitude, of the mean's and of the expected one."""
    drawn = _draw_targets(canvas, data, representation, MAGNITUDES)
    if drawn is None:
        return None
    axis, drawing = drawn
    axis.set_ylabel("R² of the log magnitude")
    axis.set_yscale("symlog", linthresh=1.0, linscale=1.0)
    axis.yaxis.set_major_formatter(lambda value, _: number.fixed(value, 0))
    lowest = axis.get_ylim()[0]
    axis.set_ylim(min(1.3 * lowest, lowest), 1.0)  # no R^2 lies above 1
    return drawing


def _draw_targets(
    canvas: svg.Canvas, data: ReportData, representation: str, looks: dict[str, Look]
) -> tuple[Axes, Drawing] | None:
    """Draw scores of the chosen head against lag, one panel for each target; return the first."""
    cells = cells_of(data, representation)
    table = _chosen_rows(cells)
    looks = {name: look for name, look in looks.items() if table[name].notna().to_numpy().any()}
    if table.empty or not looks:
        return None
    targets = cells.targets()
    axes = canvas.panels(len(targets), height_in=3.3)
    for axis, target in zip(axes, targets, strict=True):
        _draw_scores(axis, choose(table, target=target), looks)
        axis.set(title=f"target {TARGETS[target]}", xlabel="lag, frames")
    canvas.legend(columns=2)
    columns = ["lag_frames", "target", "model"]
    for name, look in looks.items():
        columns += [name, f"{name}_low", f"{name}_high"] if look.interval else [name]
    words = f"{speakers_words(table)}; sampled: {number.count(table['num_sampled'].max())}"
    return axes[0], Drawing(table.loc[:, columns], words)


def _chosen_rows(cells: Cells) -> pd.DataFrame:
    """Return the row of the chosen head, for each target and lag."""
    rows = [
        cells.row(head, lag, target)
        for target in cells.targets()
        for lag in cells.lags(target)
        if (head := cells.chosen_head(lag, target)) is not None
    ]
    return pd.DataFrame(rows, columns=cells.rows.columns)


def _draw_scores(axis: Axes, rows: pd.DataFrame, looks: dict[str, Look]) -> None:
    lags = sorted(int(lag) for lag in rows["lag_frames"])
    axis.axhline(0, **svg.REFERENCE)
    for position, (column, look) in enumerate(looks.items()):
        offset = 0.04 * (position - (len(looks) - 1) / 2)
        draw_line(axis, at_places(rows, "lag_frames", lags, offset), PLACE, column, look)
    place_ticks(axis, lags)


@figure(
    "calibration",
    "Calibration",
    shows="Histograms of the rank of the truth among samples, head blue and null grey, with a "
    "line at 1. Points of the share inside the 50 % and 90 % regions with intervals.",
    caption="Flat at 1: what the head promises happens as often as promised. A bowl is "
    "overconfident, a hill too wide, a tilt a bias. In the joint density, mass on the left means "
    "that the truth is less likely than the head's own samples.",
    estimator="rank of the truth among the model's samples; coverage of central regions",
    resampling="speaker (coverage); histograms without interval",
    assumption="the sampled frames are evenly thinned",
    is_wide=True,
)
def calibration_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """PIT histograms of the chosen head and its null, and coverage against what was promised."""
    cells, table = cells_of(data, representation), data.table("prediction_calibration")
    if table.empty or cells.rows.empty:
        return None
    lag, target = registered_lag(data, cells), cells.targets()[0]
    head = cells.chosen_head(lag, target)
    row = cells.row(head, lag, target)
    null = str(row["best_null"])
    rows = choose(
        table, representation=representation, seed=cells.seed, target=target, part="eval",
        lag_frames=[lag, ANY_LAG], model=[head, null],
    )  # fmt: skip
    kinds = [kind for kind in KINDS if kind in set(rows["kind"])]
    if not kinds:
        return None
    axes = canvas.panels(len(kinds) + 1, width_in=svg.WIDE_IN, height_in=3.1, share_y=False)
    for axis, kind in zip(axes, kinds, strict=False):
        for model, color in ((null, svg.GREY), (head, svg.BLUE)):
            _draw_histogram(axis, choose(rows, kind=kind, model=model), color, str(model))
        axis.set(title=f"PIT, {KINDS[kind]}", xlabel="rank of the truth among samples")
    axes[0].set_ylabel("frequency; 1 is calibrated")
    _draw_coverage(axes[-1], row, cells.row(null, lag, target))
    canvas.legend(columns=2)
    frames, speakers = number.count(row["num_sampled"]), number.count(row["num_speakers"])
    return Drawing(
        rows.loc[:, ["model", "lag_frames", "target", "kind", "bin", "count"]],
        f"{frames} sampled frames, {speakers} eval speakers",
        title=f"Calibration, {TARGETS[target]} at lag {lag}",
    )


def _draw_histogram(axis: Axes, rows: pd.DataFrame, color: str, label: str) -> None:
    counts = rows.sort_values("bin", kind="stable")["count"].to_numpy(float)
    if not len(counts) or counts.sum() <= 0:
        return
    edges = np.linspace(0, 1, len(counts) + 1)
    heights = counts / counts.sum() * len(counts)
    axis.stairs(heights, edges, color=color, label=label, linewidth=1.5)
    axis.axhline(1, **svg.REFERENCE)
    axis.set_ylim(0, max(axis.get_ylim()[1] if len(axis.patches) > 1 else 0, 1.08 * heights.max()))


def _draw_coverage(axis: Axes, head: dict[str, object], null: dict[str, object]) -> None:
    """Draw observed against promised coverage for both kinds, head filled and null hollow."""
    axis.plot([0, 1], [0, 1], **svg.REFERENCE)
    for place, kind in enumerate(KINDS):
        for row, color, is_hollow in ((null, svg.GREY, True), (head, svg.BLUE, False)):
            for level in (0.5, 0.9):
                column = f"coverage_{round(100 * level)}_{kind}"
                ends = ("", "_low", "_high")
                value, low, high = (number.as_float(row[f"{column}{end}"]) for end in ends)
                if np.isnan(value):
                    continue
                where = level + (-0.02 if place == 0 else 0.02) + (0.008 if is_hollow else 0)
                axis.vlines(where, low, high, color=color)
                axis.plot(
                    where, value, "s" if place else "o", color=color,
                    markerfacecolor="none" if is_hollow else color,
                )  # fmt: skip
    axis.set(xlim=(0.35, 1.0), ylim=(0.0, 1.02))
    axis.set_xticks([0.5, 0.9], ["50 %", "90 %"])
    axis.set(
        title="coverage: circle each dimension, square joint",
        xlabel="promised share inside",
        ylabel="observed share inside",
    )
