"""The registered keys on every slice, beside their surrogates and the threshold."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.figures_structure import num_speakers_words, registered_rows
from engram_audio.report.lines import Look, handle

SLICES = ("all", "speech", "medial", "initial", "final")
SURROGATES = {
    name: Look(svg.GREY, name, "", marker, is_hollow=True)
    for name, marker in (("shuffled", "s"), ("phase_randomized", "D"), ("var", "^"))
}


@figure(
    "gate",
    "Explained fraction on every slice",
    shows="Points with intervals for each slice and registered key; hollow marks are surrogates; a "
    "dashed line is the registered threshold.",
    caption="A filled point whose whole interval lies right of the dashed line, and right of the "
    "hollow surrogates, is structure that a linear process with the same spectrum lacks.",
    resampling="speaker",
    assumption="the floor is the best K cells fitted on train targets",
    is_wide=True,
)
def gate_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Explained fraction of the registered keys on every slice, beside their surrogates."""
    lag = data.registered["lag_frames"]
    table, keys = registered_rows(
        data, "structure", representation, lag_frames=lag, subspace="all", part="eval"
    )
    if not keys or not table["explained_fraction"].notna().to_numpy().any():
        return None
    surrogates = surrogate_columns(table)
    order = list(data.sections.get("structure", {}).get("slices", [])) or list(SLICES)
    slices = sorted(set(table["slice"]), key=lambda name: [*order, name].index(name))
    axes = canvas.panels(len(keys), width_in=svg.WIDE_IN, height_in=0.9 + 0.34 * len(slices))
    for axis, key in zip(axes, keys, strict=True):
        _draw_gate(axis, choose(table, key=key), slices, surrogates)
        axis.axvline(
            data.registered["operative_gate"]["minimum_explained_fraction"], **svg.THRESHOLD
        )
        axis.axvline(0, **svg.REFERENCE)
        axis.set(title=key, xlabel="explained fraction of what K cells could explain")
    axes[0].set_yticks(range(len(slices)), slices)
    axes[0].set_ylim(len(slices) - 0.4, -0.6)
    canvas.legend(_gate_legend(surrogates), columns=5)
    columns = ["key", "slice", "explained_fraction", "explained_fraction_low"]
    columns += ["explained_fraction_high", *surrogates.values()]
    return Drawing(
        table.loc[:, columns],
        f"{num_speakers_words(table)} eval speakers",
        estimator=f"(1 - ratio) / (1 - floor), lag {lag}, train cell means on eval speakers",
    )


def surrogate_columns(table: pd.DataFrame) -> dict[str, str]:
    """Return surrogate name -> column of its explained fraction, those with any value."""
    found = {name: f"explained_fraction_{name}" for name in SURROGATES}
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
            axis.plot(row[column], place + 0.24, **SURROGATES[name].line())
    axis.grid(False, axis="y")


def _gate_legend(surrogates: dict[str, str]) -> list[Line2D]:
    return [
        handle(Look(svg.BLUE, "measured, with interval")),
        *(handle(SURROGATES[name]) for name in surrogates),
        Line2D([], [], label="threshold", **svg.THRESHOLD),
    ]
