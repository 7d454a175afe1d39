"""What is kept at each horizon, and who survives a free run."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import FigureView, content_id, csv_text
from engram_audio.rollout.verdicts import is_named

LINES = ("-", "--", ":", "-.")


def first_rows(data: ReportData, representation: str) -> pd.DataFrame:
    """Return the rows of named methods (no sweep points) of the first training seed."""
    rows = named_rows(data, representation)
    return rows.loc[rows["seed"] == rows["seed"].min()]


def named_rows(data: ReportData, representation: str) -> pd.DataFrame:
    """Return the rows of free runs of named methods, of every training seed."""
    rows = choose(data.tables["rollout"], representation=representation)
    return rows.loc[is_named(rows) & (rows["inject_frames"] == 0)]


def _style(number: int) -> dict[str, Any]:
    return {
        "color": svg.SERIES[number % len(svg.SERIES)],
        "linestyle": LINES[number // len(svg.SERIES) % len(LINES)],
    }


def _horizon_axis(axis: Axes, rows: pd.DataFrame) -> None:
    horizons = sorted({int(value) for value in rows["horizon_frames"]})
    axis.set_xscale("log", base=2)
    axis.set_xticks(horizons, [str(value) for value in horizons])
    axis.minorticks_off()
    axis.set_xlabel("horizon, frames")


def kept_figure(data: ReportData, representation: str) -> FigureView | None:
    """Gain about x_t at every scored horizon, sampled or forecast, beside the attainable."""
    rows = first_rows(data, representation)
    rows = rows.loc[(rows["span"] == "at") & rows["mode"].isin(["sampled", "forecast"])]
    rows = rows.loc[np.isfinite(rows["dnll_position"].to_numpy(float))]
    if rows.empty:
        return None
    plotted = rows.assign(gain=-rows["dnll_position"], attainable=-rows["attainable_position"])
    with svg.canvas(svg.WIDE_IN, 3.6) as (figure, (axis,)):
        for number, (name, part) in enumerate(plotted.groupby("method", sort=True)):
            part = part.sort_values("horizon_frames")
            axis.plot(
                part["horizon_frames"], part["gain"], marker="o", markersize=4, linewidth=1.2,
                label=str(name), **_style(number),
            )  # fmt: skip
        best = plotted.dropna(subset=["attainable"]).drop_duplicates("horizon_frames")
        best = best.sort_values("horizon_frames")
        axis.plot(
            best["horizon_frames"], best["attainable"], color=svg.INK, linewidth=2, alpha=0.35,
            label="attainable (best forecast on val)",
        )  # fmt: skip
        axis.axhline(0.0, color=svg.INK, linewidth=1, linestyle="--")
        _horizon_axis(axis, plotted)
        low = min(0.0, float(np.nanmin(best["attainable"])) if len(best) else 0.0)
        top = float(np.nanmax([*plotted["attainable"].fillna(0), *plotted["gain"]]))
        # a method far below the marginal would flatten all others: it is cut and named in the CSV
        axis.set_ylim(low - 0.5 * max(top, 0.1), 1.1 * max(top, 0.1))
        axis.set_ylabel("gain about the frame, nats")
        figure.legend(loc="outside lower center", ncols=3)
        name = content_id("fig", representation, "rollout-kept")
        title = "How much of the attainable is kept"
        drawing = svg.inline_svg(
            figure, name, title,
            "Nats per frame over the marginal against the horizon for each method, with the best "
            "forecaster's as the attainable; below a dashed line at 0 a method is worse than "
            "knowing nothing.",
        )  # fmt: skip
    columns = [
        "method", "mode", "horizon_frames", "dnll_position", "dnll_position_low",
        "dnll_position_high", "attainable_position", "kept_position",
    ]  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows[columns]),
        caption=(
            "Forecasts of x at each horizon by matched Gaussian moments, over the Gaussian "
            "marginal. Lines that leave the picture below are worse than it shows; the numbers are "
            "in the CSV."
        ),
        estimator="mean log-density difference over starts, same family on both sides",
        num_samples=f"{int(rows['num_starts'].max())} starts of "
        f"{int(rows['num_speakers'].max())} speakers",
        resampling="speaker (t intervals, in the table)",
        assumption="the attainable is at least what the best forecast reaches",
        is_wide=True,
    )


def survival_figure(data: ReportData, representation: str) -> FigureView | None:
    """Share of paths neither blown up nor frozen, sampled and along the mean."""
    rows = first_rows(data, representation)
    rows = rows.loc[(rows["span"] == "at") & rows["mode"].isin(["sampled", "mean"])]
    rows = rows.loc[np.isfinite(rows["surviving_share"].to_numpy(float))]
    if rows.empty:
        return None
    with svg.canvas(svg.WIDE_IN, 3.2, columns=2) as (figure, axes):
        for axis, mode, heading in zip(
            axes, ("sampled", "mean"), ("sampled steps", "mean path"), strict=True
        ):
            for number, (method, part) in enumerate(rows.groupby("method", sort=True)):
                part = part.loc[part["mode"] == mode].sort_values("horizon_frames")
                axis.plot(
                    part["horizon_frames"], 100 * part["surviving_share"], marker="o",
                    markersize=4, linewidth=1.2,
                    label=str(method) if mode == "sampled" else None, **_style(number),
                )  # fmt: skip
            axis.set_title(heading)
            _horizon_axis(axis, rows)
            axis.set_ylim(-4, 104)
        axes[0].set_ylabel("paths that survive, %")
        figure.legend(loc="outside lower center", ncols=3)
        name, title = content_id("fig", representation, "rollout-survival"), "Who survives"
        drawing = svg.inline_svg(
            figure, name, title,
            "Share of free-running paths that have neither left the data nor stopped moving, "
            "against the horizon, sampled and along the conditional mean.",
        )  # fmt: skip
    columns = [
        "method", "mode", "horizon_frames", "diverged_share", "frozen_share", "surviving_share",
        "num_paths",
    ]  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows[columns]),
        caption=(
            "A path is gone when its RMS leaves the data by the configured factor or its last "
            "steps are too small to be data. A mean path that freezes is a forecast of the far "
            "future, not a generator."
        ),
        estimator="shares of paths",
        num_samples=f"{int(rows['num_paths'].max())} paths",
        resampling="none in the picture",
        assumption="thresholds are those of the rollout section",
        is_wide=True,
    )
