"""The registered keys on every slice, beside the threshold."""

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


@figure(
    "gate",
    "Added fraction on every slice",
    shows="Points with intervals for each slice and registered key. A dashed line is the "
    "registered threshold.",
    caption="A filled point whose whole interval lies right of the dashed line is structure that "
    "no linear model of the same past has.",
    resampling="speaker",
    assumption="the oracle's cells are the best K cells of the target",
    is_wide=True,
)
def gate_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Added fraction of the registered keys on every slice."""
    lag = data.registered["lag_frames"]
    table, keys = registered_rows(
        data, "structure", representation, lag_frames=lag, subspace="all", part="eval"
    )
    if not keys or not table["added_fraction"].notna().to_numpy().any():
        return None
    order = list(data.sections.get("structure", {}).get("slices", [])) or list(SLICES)
    slices = sorted(set(table["slice"]), key=lambda name: [*order, name].index(name))
    axes = canvas.panels(len(keys), width_in=svg.WIDE_IN, height_in=0.9 + 0.34 * len(slices))
    for axis, key in zip(axes, keys, strict=True):
        _draw_gate(axis, choose(table, key=key), slices)
        axis.axvline(data.registered["operative_gate"]["minimum_added_fraction"], **svg.THRESHOLD)
        axis.axvline(0, **svg.REFERENCE)
        axis.set(title=key, xlabel="added, share of what K cells could add")
    axes[0].set_yticks(range(len(slices)), slices)
    axes[0].set_ylim(len(slices) - 0.4, -0.6)
    canvas.legend(_gate_legend(), columns=2)
    columns = ["key", "slice", "added_fraction", "added_fraction_low"]
    columns.append("added_fraction_high")
    return Drawing(
        table.loc[:, columns],
        f"{num_speakers_words(table)} eval speakers",
        estimator=f"added / attainable, lag {lag}, train cells on eval speakers",
    )


def _draw_gate(axis: Axes, rows: pd.DataFrame, slices: list[str]) -> None:
    for row in rows.to_dict("records"):
        place = slices.index(row["slice"])
        if not np.isfinite(row["added_fraction"]):
            axis.annotate(
                "not measured", (0, place), (5, 0), textcoords="offset points", va="center"
            )
            continue
        ends = row["added_fraction_low"], row["added_fraction_high"]
        axis.hlines(place, *ends, color=svg.BLUE, linewidth=2)
        axis.plot(row["added_fraction"], place, "o", color=svg.BLUE, markersize=5)
    axis.grid(False, axis="y")


def _gate_legend() -> list[Line2D]:
    return [
        handle(Look(svg.BLUE, "measured, with interval")),
        Line2D([], [], label="threshold", **svg.THRESHOLD),
    ]
