"""What is kept at each horizon, and who survives a free run."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import DASHES, Look, draw_line, draw_lines, handle
from engram_audio.rollout.verdicts import is_named

RUNS = {"sampled": "sampled steps", "mean": "mean path"}


def first_rows(data: ReportData, representation: str) -> pd.DataFrame:
    """Return the rows of named methods (no sweep points) of the first training seed."""
    rows = named_rows(data, representation)
    return rows.loc[rows["seed"] == rows["seed"].min()]


def named_rows(data: ReportData, representation: str) -> pd.DataFrame:
    """Return the rows of free runs of named methods, of every training seed."""
    rows = choose(data.tables["rollout"], representation=representation)
    return rows.loc[is_named(rows) & (rows["inject_frames"] == 0)]


def _looks(rows: pd.DataFrame) -> dict[str, Look]:
    """Return how each method looks: colours in turn, then again with other dashes."""
    colors = svg.series(sorted(set(rows["method"])))
    return {
        name: Look(color, name, DASHES[place // len(svg.SERIES) % len(DASHES)])
        for place, (name, color) in enumerate(colors.items())
    }


def _horizon_axis(axis: Axes, rows: pd.DataFrame) -> None:
    axis.set_xscale("log", base=2)
    svg.value_ticks(axis.xaxis, rows["horizon_frames"])
    axis.set_xlabel("horizon, frames")


def _drawn_rows(
    data: ReportData, representation: str, modes: list[str], column: str
) -> pd.DataFrame:
    rows = choose(first_rows(data, representation), span="at", mode=modes)
    return rows.loc[np.isfinite(rows[column].to_numpy(float))]


@figure(
    "rollout-kept",
    "How much of the attainable is kept",
    shows="Nats per frame over the marginal against the horizon for each method, with the best "
    "forecaster's as the attainable. Below a dashed line at 0 a method is worse than knowing "
    "nothing.",
    caption="Forecasts of x at each horizon by matched Gaussian moments, over the Gaussian "
    "marginal. Lines that leave the picture below are worse than it shows. The numbers are in the "
    "CSV.",
    estimator="mean log-density difference over starts, same family on both sides",
    resampling="speaker (t intervals, in the table)",
    assumption="the attainable is at least what the best forecast reaches",
    is_wide=True,
)
def kept_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Gain about x_t at every scored horizon, sampled or forecast, beside the attainable."""
    rows = _drawn_rows(data, representation, ["sampled", "forecast"], "dnll_position")
    if rows.empty:
        return None
    plotted = rows.assign(gain=-rows["dnll_position"], attainable=-rows["attainable_position"])
    best = plotted.dropna(subset=["attainable"]).drop_duplicates("horizon_frames")
    axis = canvas.panel(width_in=svg.WIDE_IN, height_in=3.6)
    draw_lines(axis, plotted, "method", "horizon_frames", "gain", _looks(plotted))
    attainable = Look(svg.INK, "attainable (best forecast, chosen before eval)", marker="")
    draw_line(axis, best, "horizon_frames", "attainable", attainable, alpha=0.35)
    axis.axhline(0.0, **svg.THRESHOLD)
    _horizon_axis(axis, plotted)
    low = min(0.0, float(np.nanmin(best["attainable"])) if len(best) else 0.0)
    top = max(0.1, float(np.nanmax([*plotted["attainable"].fillna(0), *plotted["gain"]])))
    # a method far below the marginal would flatten all others: it is cut and named in the CSV
    axis.set(ylim=(low - 0.5 * top, 1.1 * top), ylabel="gain about the frame, nats")
    canvas.legend(columns=3)
    columns = [
        "method", "mode", "horizon_frames", "dnll_position", "dnll_position_low",
        "dnll_position_high", "attainable_position", "kept_position",
    ]  # fmt: skip
    starts, speakers = (
        rows["num_starts"].to_numpy(int).max(),
        rows["num_speakers"].to_numpy(int).max(),
    )
    return Drawing(rows.loc[:, columns], f"{starts} starts of {speakers} speakers")


@figure(
    "rollout-survival",
    "Who survives",
    shows="Share of free-running paths that have neither left the data nor stopped moving, against "
    "the horizon, sampled and along the conditional mean.",
    caption="A path is gone when its RMS leaves the data by the configured factor or its last "
    "steps are too small to be data. A mean path that freezes is a forecast of the far future, not "
    "a generator.",
    estimator="shares of paths",
    resampling="none in the picture",
    assumption="thresholds are those of the rollout section",
    is_wide=True,
)
def survival_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Share of paths neither blown up nor frozen, sampled and along the mean."""
    rows = _drawn_rows(data, representation, list(RUNS), "surviving_share")
    if rows.empty:
        return None
    plotted, looks = rows.assign(percent=100 * rows["surviving_share"]), _looks(rows)
    axes = canvas.panels(len(RUNS), width_in=svg.WIDE_IN, height_in=3.2)
    for axis, (mode, heading) in zip(axes, RUNS.items(), strict=True):
        own = choose(plotted, mode=mode)
        draw_lines(axis, own, "method", "horizon_frames", "percent", looks)
        axis.set_title(heading)
        _horizon_axis(axis, rows)
        axis.set_ylim(-4, 104)
    axes[0].set_ylabel("paths that survive, %")
    canvas.legend([handle(look) for look in looks.values()], columns=3)
    columns = [
        "method", "mode", "horizon_frames", "diverged_share", "frozen_share", "surviving_share",
        "num_paths",
    ]  # fmt: skip
    return Drawing(rows.loc[:, columns], f"{rows['num_paths'].to_numpy(int).max()} paths")
