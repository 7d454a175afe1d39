"""Figures that ask whether the instrument reads zero where zero is true."""

from typing import NamedTuple

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import FigureView, content_id, csv_text
from engram_audio.structure.columns import STRUCTURE

CONTROLS = ("permuted", "swapped")
MODEL_COLORS = {"ridge": svg.BLUE, "ar1": svg.GREEN, "white_noise": svg.GREY}
MODEL_LABELS = {
    "ridge": "ridge on the whole context (measured)",
    "ar1": "diagonal AR(1) null",
    "white_noise": "white-noise null",
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


def control_figure(data: ReportData, representation: str) -> FigureView | None:
    """Ratios of keys that cannot know anything, with the tolerance around 1."""
    rows = control_rows(data, representation).sort_values("key", kind="stable")
    if rows.empty:
        return None
    tolerance = data.registered["operative_gate"]["control_tolerance"]
    places = list(range(len(rows)))
    with svg.canvas(svg.WIDE_IN, 0.9 + 0.2 * len(rows), columns=len(CONTROLS)) as (figure, axes):
        for axis, control in zip(axes, CONTROLS, strict=True):
            axis.axvspan(1 - tolerance, 1 + tolerance, color=svg.GREY, alpha=0.15, linewidth=0)
            axis.axvline(1, color=svg.INK, linewidth=0.6)
            ends = [rows[f"control_{control}_{end}"].to_numpy(float) for end in ("low", "high")]
            axis.hlines(places, ends[0], ends[1], color=svg.BLUE, linewidth=2)
            axis.plot(rows[f"control_{control}"], places, "o", color=svg.BLUE)
            axis.set_title(f"{control} keys")
            axis.set_xlabel("variance ratio, corrected for degrees of freedom")
            axis.grid(False, axis="y")
        axes[0].set_yticks(places, list(rows["key"]))
        axes[0].invert_yaxis()
        name = content_id("fig", representation, "controls")
        title = "Keys that cannot know"
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            "Points with intervals of the ratio of permuted and swapped keys, one line for each "
            "key; a grey band marks the tolerance around one.",
        )  # fmt: skip
    columns = ["key"]
    columns += [name for control in CONTROLS for name in STRUCTURE[f"control_{control}"].names(())]
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows.loc[:, columns]),
        caption=(
            "Permuted: labels shuffled over frames. Swapped: labels of another utterance, shifted "
            "in a circle, so that they keep their autocorrelation. Both must lie inside the band; "
            "a point outside means that the instrument, not the speech, makes the number."
        ),
        estimator="ratio with train means, divided by 1 + what a useless key loses by estimating "
        "its means",
        num_samples=f"{len(rows)} keys, lag {data.registered['lag_frames']}, eval speakers",
        resampling="speaker",
        assumption="an utterance says nothing about the steps of another at the same place",
        is_wide=True,
    )


def baseline_rows(data: ReportData, representation: str) -> pd.DataFrame:
    """Return R^2 of the linear baseline and its nulls per lag, eval, slice all, first split."""
    rows = choose(
        data.tables["linear"],
        representation=representation, split_seed=data.first_split(representation),
        slice="all", part="eval",
    )  # fmt: skip
    return rows.sort_values(["model", "lag_frames"], kind="stable")


def variance_baseline(data: ReportData, representation: str) -> FigureView | None:
    """R^2 of the step against lag: ridge beside what white noise and AR(1) score."""
    return _baseline_figure(data, representation, VARIANCE)


def direction_baseline(data: ReportData, representation: str) -> FigureView | None:
    """Cosine of prediction and step against lag, beside the same nulls."""
    return _baseline_figure(data, representation, DIRECTION)


class _Baseline(NamedTuple):
    column: str
    name: str
    title: str
    label: str
    caption: str
    estimator: str


VARIANCE = _Baseline(
    "r2",
    "mean-reversion",
    "Mean reversion: variance of the step",
    "R² of the step",
    "At lag 1 the step contains the last frame with a minus sign, so white noise alone gives an R² "
    "of one half. Only what stands above the nulls at lag 2 and later is structure.",
    "1 - sum of squared error / sum of squares about the train mean, eval",
)
DIRECTION = _Baseline(
    "cosine",
    "mean-reversion-direction",
    "Mean reversion: direction of the step",
    "mean cosine with the step",
    "The same null for directions: by predicting a return to the mean, white noise reaches a "
    "cosine of 1/√2 = 0.707 at lag 1 in many dimensions, and none later.",
    "mean over eval frames of the cosine between predicted and true step",
)


def _baseline_figure(
    data: ReportData, representation: str, baseline: _Baseline
) -> FigureView | None:
    """Draw one quantity of the linear baseline and its nulls against lag."""
    rows = baseline_rows(data, representation)
    if rows.empty:
        return None
    with svg.canvas() as (figure, (axis,)):
        for model, color in MODEL_COLORS.items():
            line = choose(rows, model=model)
            if line.empty:
                continue
            style = "-" if model == "ridge" else "--"
            axis.plot(
                line["lag_frames"], line[baseline.column], style, color=color, marker="o",
                label=MODEL_LABELS[model],
            )  # fmt: skip
            low, high = (
                line[f"{baseline.column}_{end}"].to_numpy(float) for end in ("low", "high")
            )
            axis.vlines(line["lag_frames"].to_numpy(float), low, high, color=color)
        axis.axhline(0, color=svg.INK, linewidth=0.6)
        lags = sorted(rows["lag_frames"].unique())
        axis.set_xticks(lags, [str(lag) for lag in lags])
        axis.set_xlabel("lag: frames from the end of the context to the target")
        axis.set_ylabel(baseline.label)
        figure.legend(loc="outside lower center", ncols=1)
        name = content_id("fig", representation, baseline.name)
        title = baseline.title
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            f"{baseline.label} against lag: ridge solid, white-noise and AR(1) nulls dashed.",
        )  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows),
        caption=baseline.caption,
        estimator=baseline.estimator,
        num_samples=f"{len(rows)} models and lags, eval speakers",
        resampling="speaker",
        assumption="white noise with this marginal; AR(1) fitted per dimension on train",
    )
