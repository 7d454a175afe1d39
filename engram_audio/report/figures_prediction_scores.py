"""Direction, magnitude and calibration of the heads beside their nulls."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from engram_audio.artifacts.columns import choose
from engram_audio.prediction.cells import TARGETS, Cells
from engram_audio.prediction.columns import PREDICTION
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import FigureView, content_id, csv_text
from engram_audio.report.prediction_rows import cells_of, registered_lag, speakers_words
from engram_audio.verdicts import number

ANY_LAG = 0  # a law without context is scored once for all lags
KINDS = {"per_dimension": "each dimension", "density": "joint density"}


class _Curve(NamedTuple):
    column: str
    label: str
    color: str
    style: str
    marker: str

    @property
    def ends(self) -> list[str]:
        """Columns with the ends of its interval, none where it is published without."""
        declared = next((c for c in PREDICTION.columns if c.name == self.column), None)
        has_interval = declared is not None and declared.has_interval
        return [f"{self.column}_low", f"{self.column}_high"] if has_interval else []


COSINES = (
    _Curve("cosine_mean", "of the mean", svg.BLUE, "-", "o"),
    _Curve("cosine_mean_null", "of the mean, best null", svg.BLUE, ":", "s"),
    _Curve("cosine_sample", "of samples", svg.VERMILION, "-", "o"),
    _Curve("cosine_sample_null", "of samples, best null", svg.VERMILION, ":", "s"),
    _Curve("cosine_white_noise", "white noise, many dimensions", svg.GREY, "--", "x"),
)
MAGNITUDES = (
    _Curve("log_magnitude_r2_mean", "of the mean", svg.BLUE, "-", "o"),
    _Curve("log_magnitude_r2_mean_null", "of the mean, best null", svg.BLUE, ":", "s"),
    _Curve("log_magnitude_r2_sample", "of samples (calibrated)", svg.VERMILION, "-", "o"),
    _Curve("log_magnitude_r2_sample_null", "of samples, best null", svg.VERMILION, ":", "s"),
)


def direction_figure(data: ReportData, representation: str) -> FigureView | None:
    """Cosine between prediction and truth, by mean and by sampling, beside the nulls."""
    return _score_figure(
        data,
        representation,
        COSINES,
        name="cosine",
        title="Direction: cosine by mean and by sampling",
        label="cosine of prediction and truth",
        caption=(
            "Read each filled line against the dotted one of its colour. The mean cannot point two "
            "ways at once, so a law with two modes shows in the samples only. White noise reaches "
            "0.707 in the step at lag 1 by mean reversion alone."
        ),
        estimator="mean over eval frames of the cosine, head chosen on val; samples on a thinned "
        "set",
    )


def magnitude_figure(data: ReportData, representation: str) -> FigureView | None:
    """R^2 of the log magnitude, of the mean's and of the expected one."""
    return _score_figure(
        data,
        representation,
        MAGNITUDES,
        name="log-magnitude",
        title="Magnitude: R² of log length",
        label="R² of the log magnitude",
        caption=(
            "The length of the mean is far below the typical length, so its R² is negative in any "
            "calibrated model and says nothing. The expected log length of samples is the fair "
            "forecast: above its null and above 0, magnitude is predictable. The scale is linear "
            "between \N{MINUS SIGN}1 and 1 and logarithmic beyond."
        ),
        estimator="1 - squared error of log length / its variance, eval frames; no interval is "
        "published",
    )


def _score_figure(
    data: ReportData,
    representation: str,
    curves: Sequence[_Curve],
    *,
    name: str,
    title: str,
    label: str,
    caption: str,
    estimator: str,
) -> FigureView | None:
    cells = cells_of(data, representation)
    table = _chosen_rows(cells)
    if table.empty:
        return None
    curves = [c for c in curves if table[c.column].notna().to_numpy().any()]
    if not curves:
        return None
    targets = cells.targets()
    with svg.canvas(svg.HALF_IN, 3.3, columns=len(targets)) as (figure, axes):
        for axis, target in zip(axes, targets, strict=True):
            _draw_scores(axis, choose(table, target=target), curves)
            axis.set_title(f"target {TARGETS[target]}")
            axis.set_xlabel("lag, frames")
        axes[0].set_ylabel(label)
        if curves[0].column.startswith("log_magnitude"):
            axes[0].set_yscale("symlog", linthresh=1.0, linscale=1.0)
            axes[0].yaxis.set_major_formatter(lambda value, _: number.fixed(value, 0))
            lowest = axes[0].get_ylim()[0]
            axes[0].set_ylim(min(1.3 * lowest, lowest), 1.0)  # no R^2 lies above 1
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        identity = content_id("fig", representation, name)
        drawing = svg.inline_svg(
            figure, identity, f"{title}, {representation}",
            f"{label} against lag for each target: heads solid, best nulls dotted.",
        )  # fmt: skip
    ends = [name for curve in curves for name in (curve.column, *curve.ends)]
    columns = ["lag_frames", "target", "model", *ends]
    return FigureView(
        name=identity,
        title=title,
        svg=drawing,
        csv=csv_text(table.loc[:, columns]),
        caption=caption,
        estimator=estimator,
        num_samples=f"{speakers_words(table)}; sampled: {number.count(table['num_sampled'].max())}",
        resampling="speaker, where bars are drawn",
        assumption="directions are measured from 0 for the step, from the train mean for xₜ",
    )


def _chosen_rows(cells: Cells) -> pd.DataFrame:
    """Return the row of the head chosen on val, for each target and lag."""
    rows = [
        cells.row(head, lag, target)
        for target in cells.targets()
        for lag in cells.lags(target)
        if (head := cells.chosen_head(lag, target)) is not None
    ]
    return pd.DataFrame(rows, columns=cells.rows.columns)


def _draw_scores(axis: Axes, rows: pd.DataFrame, curves: Sequence[_Curve]) -> None:
    rows = rows.sort_values("lag_frames")
    lags = [int(lag) for lag in rows["lag_frames"]]
    axis.axhline(0, color=svg.INK, linewidth=0.6)
    for position, curve in enumerate(curves):
        where = np.arange(len(lags)) + 0.04 * (position - (len(curves) - 1) / 2)
        is_null = curve.style != "-"
        axis.plot(
            where, rows[curve.column].to_numpy(float), curve.style, color=curve.color,
            marker=curve.marker, label=curve.label, linewidth=1.0 if is_null else 1.5,
            markerfacecolor="none" if is_null else curve.color,
        )  # fmt: skip
        if curve.ends:
            axis.vlines(where, *rows[curve.ends].to_numpy(float).T, color=curve.color)
    axis.set_xticks(range(len(lags)), [str(lag) for lag in lags])
    axis.set_xlim(-0.35, len(lags) - 0.65)


def calibration_figure(data: ReportData, representation: str) -> FigureView | None:
    """PIT histograms of the chosen head and its null, and coverage against what was promised."""
    cells, table = cells_of(data, representation), data.table("prediction_calibration")
    if table.empty or cells.rows.empty:
        return None
    lag, target = registered_lag(data, cells), cells.targets()[0]
    head = cells.chosen_head(lag, target)
    row = cells.row(head, lag, target)
    rows = choose(
        table, representation=representation, seed=cells.seed, target=target, part="eval",
        lag_frames=[lag, ANY_LAG], model=[head, row["best_null"]],
    )  # fmt: skip
    kinds = [kind for kind in KINDS if kind in set(rows["kind"])]
    if not kinds:
        return None
    null = str(row["best_null"])
    with svg.canvas(svg.WIDE_IN, 3.1, columns=len(kinds) + 1, share_y=False) as (figure, axes):
        for axis, kind in zip(axes, kinds, strict=False):
            for model, color in ((null, svg.GREY), (head, svg.BLUE)):
                _draw_histogram(axis, choose(rows, kind=kind, model=model), color, str(model))
            axis.set_title(f"PIT, {KINDS[kind]}")
            axis.set_xlabel("rank of the truth among samples")
        axes[0].set_ylabel("frequency; 1 is calibrated")
        _draw_coverage(axes[-1], row, cells.row(null, lag, target))
        handles, labels = axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2)
        name = content_id("fig", representation, "calibration")
        title = f"Calibration, {TARGETS[target]} at lag {lag}"
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            "Histograms of the rank of the truth among samples, head blue and null grey, with a "
            "line at 1; points of the share inside the 50 % and 90 % regions with intervals.",
        )  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows.loc[:, ["model", "lag_frames", "target", "kind", "bin", "count"]]),
        caption=(
            "Flat at 1: what the head promises happens as often as promised. A bowl is "
            "overconfident, a hill too wide, a tilt a bias. In the joint density, mass on the left "
            "means that the truth is less likely than the head's own samples."
        ),
        estimator="rank of the truth among the model's samples; coverage of central regions",
        num_samples=f"{number.count(row['num_sampled'])} sampled frames, "
        f"{number.count(row['num_speakers'])} eval speakers",
        resampling="speaker (coverage); histograms without interval",
        assumption="the sampled frames are evenly thinned",
        is_wide=True,
    )


def _draw_histogram(axis: Axes, rows: pd.DataFrame, color: str, label: str) -> None:
    counts = rows.sort_values("bin", kind="stable")["count"].to_numpy(float)
    if not len(counts) or counts.sum() <= 0:
        return
    edges = np.linspace(0, 1, len(counts) + 1)
    heights = counts / counts.sum() * len(counts)
    axis.stairs(heights, edges, color=color, label=label, linewidth=1.5)
    axis.axhline(1, color=svg.INK, linewidth=0.6)
    axis.set_ylim(0, max(axis.get_ylim()[1] if len(axis.patches) > 1 else 0, 1.08 * heights.max()))


def _draw_coverage(axis: Axes, head: dict[str, object], null: dict[str, object]) -> None:
    """Draw observed against promised coverage for both kinds, head filled and null hollow."""
    axis.plot([0, 1], [0, 1], color=svg.INK, linewidth=0.6)
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
    axis.set_xlim(0.35, 1.0)
    axis.set_ylim(0.0, 1.02)
    axis.set_xticks([0.5, 0.9], ["50 %", "90 %"])
    axis.set_title("coverage: circle each dimension, square joint")
    axis.set_xlabel("promised share inside")
    axis.set_ylabel("observed share inside")
