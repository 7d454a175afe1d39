"""Figures of single cells: how large, how tight, where."""

from collections.abc import Callable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure

MAXIMUM_POINTS = 2000  # an inline drawing with more points is slow to open
AS_IT_IS = "none: every cell is drawn as it is"


def cells_of(data: ReportData, representation: str) -> dict[str, pd.DataFrame]:
    """Return the cells of the registered keys at the registered lag, all frames, first split."""
    if data.cells.empty:
        return {}
    rows = choose(
        data.cells,
        representation=representation, split_seed=data.first_split(representation),
        lag_frames=data.registered["lag_frames"], slice="all",
    )  # fmt: skip
    found = {key: choose(rows, key=key) for key in data.registered["keys"]}
    return {key: cells for key, cells in found.items() if len(cells)}


def thin(cells: pd.DataFrame) -> pd.DataFrame:
    """Keep at most MAXIMUM_POINTS cells, evenly over their sizes: no corner is lost by chance."""
    if len(cells) <= MAXIMUM_POINTS:
        return cells
    order = cells.sort_values("num_train_frames", kind="stable")
    places = np.linspace(0, len(order) - 1, MAXIMUM_POINTS).round().astype(int)
    return order.iloc[np.unique(places)]


def _thinned_words(cells: dict[str, pd.DataFrame]) -> str:
    words = [
        f"{key}: {len(thin(rows))} of {len(rows)} cells drawn, evenly over sizes"
        for key, rows in cells.items()
        if len(rows) > MAXIMUM_POINTS
    ]
    return "; ".join(words) or ", ".join(
        f"{len(rows)} cells of {key}" for key, rows in cells.items()
    )


def _draw_cells(
    canvas: svg.Canvas,
    cells: dict[str, pd.DataFrame],
    columns: list[str],
    draw_key: Callable[[Axes, pd.DataFrame, str, str], None],
) -> tuple[Axes, Drawing]:
    """Draw the cells of each key in its colour; return the panel, and what goes beside it."""
    axis = canvas.panel()
    for key, color in svg.series(cells).items():
        draw_key(axis, cells[key], color, key)
    drawn = pd.concat([thin(rows) for rows in cells.values()])
    return axis, Drawing(drawn.loc[:, ["key", "cell", *columns]], _thinned_words(cells))


@figure(
    "cluster-sizes",
    "Cluster sizes",
    shows="Falling lines of the train frames per cell, largest first, on a logarithmic scale. A "
    "dashed line marks the fewest frames with which a cell counts.",
    caption="A flat line uses all its cells alike. Cells below the dashed line are excluded.",
    estimator="frame counts on train",
    resampling=AS_IT_IS,
    assumption="none: counts",
)
def size_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Train frames of each cell, sorted, with the minimum that makes a cell count."""
    cells = cells_of(data, representation)
    if not cells:
        return None
    columns = ["num_train_frames", "num_eval_frames"]
    axis, drawing = _draw_cells(canvas, cells, columns, _draw_sizes)
    minimum = data.sections.get("structure", {}).get("minimum_cell_frames")
    if minimum is not None:
        axis.axhline(minimum, label="fewest counted", **svg.THRESHOLD)
    axis.set_yscale("log")
    svg.plain_ticks(axis.yaxis)
    axis.set(xlabel="cells, largest first", ylabel="train frames in the cell")
    canvas.legend()
    return drawing


def _draw_sizes(axis: Axes, rows: pd.DataFrame, color: str, key: str) -> None:
    sizes = np.sort(thin(rows)["num_train_frames"].to_numpy(float))[::-1]
    places = np.linspace(1, len(rows), len(sizes))
    axis.plot(places, np.maximum(sizes, 0.5), color=color, label=key)


@figure(
    "cluster-variance",
    "Per-cluster variance against size",
    shows="Points, one for each cell: variance ratio on eval against number of train frames.",
    caption="Cells below 1 hold steps that are more alike than steps in general. If only the small "
    "cells lie low, the key gains from chance.",
    estimator="squared error of eval frames about the cell's train mean, per frame, over that of "
    "all frames about the grand mean",
    resampling=AS_IT_IS,
    assumption="cells with few eval frames scatter more; no interval is drawn per cell",
)
def variance_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Variance ratio of each cell on eval against its size."""
    cells = cells_of(data, representation)
    if not cells:
        return None
    columns = ["num_train_frames", "train_variance_ratio", "eval_variance_ratio"]
    axis, drawing = _draw_cells(canvas, cells, columns, _draw_variances)
    axis.axhline(1, **svg.REFERENCE)
    axis.set_xscale("log")
    svg.plain_ticks(axis.xaxis)
    axis.set(xlabel="train frames in the cell", ylabel="variance ratio inside the cell, eval")
    canvas.legend()
    return drawing


def _draw_variances(axis: Axes, rows: pd.DataFrame, color: str, key: str) -> None:
    points = thin(rows.dropna(subset=["eval_variance_ratio"]))
    axis.plot(
        points["num_train_frames"], points["eval_variance_ratio"], "o",
        color=color, markersize=2.6, alpha=0.6, markeredgewidth=0, label=key,
    )  # fmt: skip


@figure(
    "cluster-means",
    "Where cluster means lie",
    shows="Discs, one for each cell, at its mean step on the two leading principal directions. "
    "The area grows with the number of train frames.",
    caption="Each disc is what its cell predicts, in train standard deviations of the step. A key "
    "that knows nothing puts all discs on the cross. Spread alone proves nothing, because it is "
    "fitted on train.",
    estimator="train mean of the normalised step in each cell, projected; area by train frames",
    resampling=AS_IT_IS,
    assumption="two directions show a part of the step only",
)
def scatter_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Cell means of the step on its two leading principal directions."""
    cells = cells_of(data, representation)
    if not cells:
        return None
    columns = ["mean_pc1", "mean_pc2", "num_train_frames"]
    axis, drawing = _draw_cells(canvas, cells, columns, _draw_means)
    axis.axhline(0, **svg.REFERENCE)
    axis.axvline(0, **svg.REFERENCE)
    axis.set(xlabel="first principal direction of the step", ylabel="second")
    canvas.legend()
    return drawing


def _draw_means(axis: Axes, rows: pd.DataFrame, color: str, key: str) -> None:
    rows = thin(rows)
    sizes = rows["num_train_frames"].to_numpy(float)
    largest = sizes.max() or 1.0
    axis.scatter(
        rows["mean_pc1"], rows["mean_pc2"], s=2 + 60 * sizes / largest,
        color=color, alpha=0.45, linewidth=0, label=key,
    )  # fmt: skip
