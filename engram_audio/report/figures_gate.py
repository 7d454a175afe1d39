"""The registered keys on every slice, beside their surrogates and the threshold."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import FigureView, content_id, csv_text
from engram_audio.report.figures_structure import num_speakers_words

SLICES = ("all", "high_energy", "medial", "initial", "final")
SURROGATE_MARKERS = {"shuffled": "s", "phase_randomized": "D", "var": "^"}


def gate_figure(data: ReportData, representation: str) -> FigureView | None:
    """Explained fraction of the registered keys on every slice, beside their surrogates."""
    table = choose(
        data.tables["structure"],
        representation=representation, split_seed=data.first_split(representation),
        key=list(data.registered["keys"]), lag_frames=data.registered["lag_frames"],
        subspace="all", part="eval",
    )  # fmt: skip
    keys = [key for key in data.registered["keys"] if key in set(table["key"])]
    if not keys or not table["explained_fraction"].notna().to_numpy().any():
        return None
    minimum = data.registered["operative_gate"]["minimum_explained_fraction"]
    surrogates = surrogate_columns(table)
    order = list(data.sections.get("structure", {}).get("slices", [])) or list(SLICES)
    slices = sorted(set(table["slice"]), key=lambda name: [*order, name].index(name))
    with svg.canvas(svg.WIDE_IN, 0.9 + 0.34 * len(slices), columns=len(keys)) as (figure, axes):
        for axis, key in zip(axes, keys, strict=True):
            _draw_gate(axis, choose(table, key=key), slices, surrogates)
            axis.axvline(minimum, color=svg.INK, linewidth=1, linestyle="--")
            axis.axvline(0, color=svg.INK, linewidth=0.6)
            axis.set_title(key)
            axis.set_xlabel("explained fraction of what K cells could explain")
        axes[0].set_yticks(range(len(slices)), slices)
        axes[0].set_ylim(len(slices) - 0.4, -0.6)
        figure.legend(handles=_gate_legend(surrogates), loc="outside lower center", ncols=5)
        name = content_id("fig", representation, "gate")
        title = "Explained fraction on every slice"
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            "Points with intervals for each slice and registered key; hollow marks are surrogates; "
            "a dashed line is the registered threshold.",
        )  # fmt: skip
    columns = ["key", "slice", "explained_fraction", "explained_fraction_low"]
    columns += ["explained_fraction_high", *surrogates.values()]
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(table.loc[:, columns]),
        caption=(
            "A filled point whose whole interval lies right of the dashed line, and right of the "
            "hollow surrogates, is structure that a linear process with the same spectrum lacks."
        ),
        estimator="(1 - ratio) / (1 - floor), lag "
        f"{data.registered['lag_frames']}, train cell means on eval speakers",
        num_samples=f"{num_speakers_words(table)} eval speakers",
        resampling="speaker",
        assumption="the floor is the best K cells fitted on train targets",
        is_wide=True,
    )


def surrogate_columns(table: pd.DataFrame) -> dict[str, str]:
    """Return surrogate name -> column of its explained fraction, those with any value."""
    found = {name: f"explained_fraction_{name}" for name in SURROGATE_MARKERS}
    return {
        name: column for name, column in found.items() if table[column].notna().to_numpy().any()
    }


def _draw_gate(
    axis: Axes, rows: pd.DataFrame, slices: list[str], surrogates: dict[str, str]
) -> None:
    for row in rows.to_dict("records"):
        place = slices.index(row["slice"])
        if not np.isfinite(row["explained_fraction"]):
            axis.annotate(
                "not measured", (0, place), (5, 0), textcoords="offset points", va="center"
            )
            continue
        ends = row["explained_fraction_low"], row["explained_fraction_high"]
        axis.hlines(place, *ends, color=svg.BLUE, linewidth=2)
        axis.plot(row["explained_fraction"], place, "o", color=svg.BLUE, markersize=5)
        for name, column in surrogates.items():
            axis.plot(
                row[column], place + 0.24, SURROGATE_MARKERS[name],
                markerfacecolor="none", color=svg.GREY, markersize=3.6,
            )  # fmt: skip
    axis.grid(False, axis="y")


def _gate_legend(surrogates: dict[str, str]) -> list[Line2D]:
    handles = [Line2D([], [], color=svg.BLUE, marker="o", label="measured, with interval")]
    handles += [
        Line2D([], [], color=svg.GREY, marker=SURROGATE_MARKERS[name], markerfacecolor="none",
               linestyle="", label=name)
        for name in surrogates
    ]  # fmt: skip
    handles.append(Line2D([], [], color=svg.INK, linestyle="--", linewidth=1, label="threshold"))
    return handles
