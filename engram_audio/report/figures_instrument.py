"""Figures that ask whether the instrument reads zero where zero is true."""

import functools

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import Look, draw_lines, draw_marks
from engram_audio.structure.columns import STRUCTURE

CONTROLS = ("permuted", "swapped")
MODELS = {
    "ridge": Look(svg.BLUE, "ridge on the whole context (measured)", interval="bars"),
    "ar1": Look(svg.GREEN, "diagonal AR(1) null", "--", interval="bars"),
    "white_noise": Look(svg.GREY, "white-noise null", "--", interval="bars"),
}


def control_rows(data: ReportData, representation: str) -> pd.DataFrame:
    """Return the eval rows of all keys at the registered lag, slice all, first split."""
    rows = choose(
        data.tables["structure"],
        representation=representation, split_seed=data.first_split(representation),
        lag_frames=data.registered["lag_frames"], slice="all", subspace="all", part="eval",
    )  # fmt: skip
    columns = [f"control_{name}" for name in CONTROLS]
    return rows.loc[rows[columns].notna().to_numpy().any(axis=1)]


@figure(
    "controls",
    "Keys that cannot know",
    shows="Points with intervals of the ratio of permuted and swapped keys, one line for each "
    "key. A grey band marks the tolerance around one.",
    caption="Permuted: labels shuffled over frames. Swapped: labels of another utterance, shifted "
    "in a circle, so that they keep their autocorrelation. Both must lie inside the band. A point "
    "outside means that the instrument, not the speech, makes the number.",
    estimator="ratio with train means, divided by 1 + what a useless key loses by estimating its "
    "means",
    resampling="speaker",
    assumption="an utterance says nothing about the steps of another at the same place",
    is_wide=True,
)
def control_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Ratios of keys that cannot know anything, with the tolerance around 1."""
    rows = control_rows(data, representation).sort_values("key", kind="stable")
    if rows.empty:
        return None
    tolerance = data.registered["operative_gate"]["control_tolerance"]
    places = np.arange(len(rows))
    axes = canvas.panels(len(CONTROLS), width_in=svg.WIDE_IN, height_in=0.9 + 0.2 * len(rows))
    for axis, control in zip(axes, CONTROLS, strict=True):
        axis.axvspan(1 - tolerance, 1 + tolerance, color=svg.GREY, alpha=0.15, linewidth=0)
        axis.axvline(1, **svg.REFERENCE)
        draw_marks(axis, rows, f"control_{control}", places, svg.BLUE)
        axis.set(title=f"{control} keys", xlabel="variance ratio, corrected for degrees of freedom")
        axis.grid(False, axis="y")
    axes[0].set_yticks(places, list(rows["key"]))
    axes[0].invert_yaxis()
    columns = ["key"]
    columns += [name for control in CONTROLS for name in STRUCTURE[f"control_{control}"].names(())]
    words = f"{len(rows)} keys, lag {data.registered['lag_frames']}, eval speakers"
    return Drawing(rows.loc[:, columns], words)


def baseline_rows(data: ReportData, representation: str) -> pd.DataFrame:
    """Return R^2 of the linear baseline and its nulls per lag, eval, slice all, first split."""
    rows = choose(
        data.tables["linear"],
        representation=representation, split_seed=data.first_split(representation),
        slice="all", part="eval",
    )  # fmt: skip
    return rows.sort_values(["model", "lag_frames"], kind="stable")


_baseline = functools.partial(
    figure,
    resampling="speaker",
    assumption="white noise with this marginal; AR(1) fitted per dimension on train",
)


@_baseline(
    "mean-reversion",
    "Mean reversion: variance of the step",
    shows="R² of the step against lag: ridge solid, white-noise and AR(1) nulls dashed.",
    caption="At lag 1 the step contains the last frame with a minus sign, so white noise alone "
    "gives an R² of one half. Only what stands above the nulls at lag 2 and later is structure.",
    estimator="1 - sum of squared error / sum of squares about the train mean, eval",
)
def variance_baseline(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """R^2 of the step against lag: ridge beside what white noise and AR(1) score."""
    return _draw_baseline(canvas, baseline_rows(data, representation), "r2", "R² of the step")


@_baseline(
    "mean-reversion-direction",
    "Mean reversion: direction of the step",
    shows="Mean cosine with the step against lag: ridge solid, white-noise and AR(1) nulls dashed.",
    caption="The same null for directions: by predicting a return to the mean, white noise reaches "
    "a cosine of 1/√2 = 0.707 at lag 1 in many dimensions, and none later.",
    estimator="mean over eval frames of the cosine between predicted and true step",
)
def direction_baseline(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Cosine of prediction and step against lag, beside the same nulls."""
    rows = baseline_rows(data, representation)
    return _draw_baseline(canvas, rows, "cosine", "mean cosine with the step")


def _draw_baseline(
    canvas: svg.Canvas, rows: pd.DataFrame, column: str, label: str
) -> Drawing | None:
    """Draw one quantity of the linear baseline and its nulls against lag."""
    if rows.empty:
        return None
    axis = canvas.panel()
    draw_lines(axis, rows, "model", "lag_frames", column, MODELS)
    axis.axhline(0, **svg.REFERENCE)
    svg.value_ticks(axis.xaxis, rows["lag_frames"])
    axis.set(xlabel="lag: frames from the end of the context to the target", ylabel=label)
    canvas.legend()
    return Drawing(rows, f"{len(rows)} models and lags, eval speakers")
