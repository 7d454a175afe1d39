"""Figures of single cells: how large, how tight, where."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import FigureView, content_id, csv_text

MAXIMUM_POINTS = 2000  # an inline drawing with more points is slow to open


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


def size_figure(data: ReportData, representation: str) -> FigureView | None:
    """Train frames of each cell, sorted, with the minimum that makes a cell count."""
    cells = cells_of(data, representation)
    if not cells:
        return None
    minimum = data.sections.get("structure", {}).get("minimum_cell_frames")
    with svg.canvas() as (figure, (axis,)):
        for (key, rows), color in zip(cells.items(), svg.SERIES, strict=False):
            sizes = thin(rows)["num_train_frames"].to_numpy(float)
            sizes = np.sort(sizes)[::-1]
            axis.plot(
                np.linspace(1, len(rows), len(sizes)),
                np.maximum(sizes, 0.5),
                color=color,
                label=key,
            )
        if minimum is not None:
            axis.axhline(
                minimum, color=svg.INK, linewidth=1, linestyle="--", label="fewest counted"
            )
        axis.set_yscale("log")
        svg.plain_ticks(axis.yaxis)
        axis.set_xlabel("cells, largest first")
        axis.set_ylabel("train frames in the cell")
        figure.legend(loc="outside lower center", ncols=1)
        name = content_id("fig", representation, "cluster-sizes")
        title = "Cluster sizes"
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            "Falling lines of the train frames per cell, largest first, on a logarithmic scale; a "
            "dashed line marks the fewest frames with which a cell counts.",
        )  # fmt: skip
    return _cell_view(
        name, title, drawing, cells, ["key", "cell", "num_train_frames", "num_eval_frames"],
        caption="A flat line uses all its cells alike; cells below the dashed line are excluded.",
        estimator="frame counts on train",
        assumption="none: counts",
    )  # fmt: skip


def variance_figure(data: ReportData, representation: str) -> FigureView | None:
    """Variance ratio of each cell on eval against its size."""
    cells = cells_of(data, representation)
    if not cells:
        return None
    with svg.canvas() as (figure, (axis,)):
        for (key, rows), color in zip(cells.items(), svg.SERIES, strict=False):
            points = thin(rows.dropna(subset=["eval_variance_ratio"]))
            axis.plot(
                points["num_train_frames"], points["eval_variance_ratio"], "o",
                color=color, markersize=2.6, alpha=0.6, markeredgewidth=0, label=key,
            )  # fmt: skip
        axis.axhline(1, color=svg.INK, linewidth=0.6)
        axis.set_xscale("log")
        svg.plain_ticks(axis.xaxis)
        axis.set_xlabel("train frames in the cell")
        axis.set_ylabel("variance ratio inside the cell, eval")
        figure.legend(loc="outside lower center", ncols=1)
        name = content_id("fig", representation, "cluster-variance")
        title = "Per-cluster variance against size"
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            "Points, one for each cell: variance ratio on eval against number of train frames.",
        )  # fmt: skip
    columns = ["key", "cell", "num_train_frames", "train_variance_ratio", "eval_variance_ratio"]
    return _cell_view(
        name, title, drawing, cells, columns,
        caption=(
            "Cells below 1 hold steps that are more alike than steps in general. If only the small "
            "cells lie low, the key gains from chance."
        ),
        estimator="squared error of eval frames about the cell's train mean, per frame, over that "
        "of all frames about the grand mean",
        assumption="cells with few eval frames scatter more; no interval is drawn per cell",
    )  # fmt: skip


def scatter_figure(data: ReportData, representation: str) -> FigureView | None:
    """Cell means of the step on its two leading principal directions."""
    cells = cells_of(data, representation)
    if not cells:
        return None
    with svg.canvas(height_in=3.3) as (figure, (axis,)):
        for (key, rows), color in zip(cells.items(), svg.SERIES, strict=False):
            _draw_means(axis, thin(rows), color, key)
        axis.axhline(0, color=svg.INK, linewidth=0.6)
        axis.axvline(0, color=svg.INK, linewidth=0.6)
        axis.set_xlabel("first principal direction of the step")
        axis.set_ylabel("second")
        figure.legend(loc="outside lower center", ncols=1)
        name = content_id("fig", representation, "cluster-means")
        title = "Where cluster means lie"
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            "Discs, one for each cell, at its mean step on the two leading principal directions; "
            "the area grows with the number of train frames.",
        )  # fmt: skip
    return _cell_view(
        name, title, drawing, cells, ["key", "cell", "mean_pc1", "mean_pc2", "num_train_frames"],
        caption=(
            "Each disc is what its cell predicts, in train standard deviations of the step. A key "
            "that knows nothing puts all discs on the cross; spread alone proves nothing, because "
            "it is fitted on train."
        ),
        estimator="train mean of the normalised step in each cell, projected; area by train frames",
        assumption="two directions show a part of the step only",
    )  # fmt: skip


def _draw_means(axis: Axes, rows: pd.DataFrame, color: str, key: str) -> None:
    sizes = rows["num_train_frames"].to_numpy(float)
    largest = sizes.max() or 1.0
    axis.scatter(
        rows["mean_pc1"], rows["mean_pc2"], s=2 + 60 * sizes / largest,
        color=color, alpha=0.45, linewidth=0, label=key,
    )  # fmt: skip


def _cell_view(
    name: str,
    title: str,
    drawing: str,
    cells: dict[str, pd.DataFrame],
    columns: list[str],
    *,
    caption: str,
    estimator: str,
    assumption: str,
) -> FigureView:
    drawn = pd.concat([thin(rows) for rows in cells.values()])
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(drawn.loc[:, columns]),
        caption=caption,
        estimator=estimator,
        num_samples=_thinned_words(cells),
        resampling="none: every cell is drawn as it is",
        assumption=assumption,
    )
