"""How many nats survive a key, against what a key of its size could carry at most."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from engram_audio.artifacts.columns import choose
from engram_audio.keys.law_scores import KEY, ORACLE, PERMUTED, PREDICTOR
from engram_audio.prediction.heads_gain import heads_gains
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import Look, draw_line

MAXIMUM_METHODS = len(svg.SERIES)
WORDS = {"none": "alone", "linear": "beside the linear base"}


@figure(
    "key-nats",
    "What survives a key",
    shows="Nats about the target that each key keeps, against ln K, one line per method with bands "
    "over speakers. The diagonal is the most that K codes can carry. Horizontals are the predictor "
    "and the best head. Permuted codes lie at zero.",
    caption="A line that reaches the predictor's level says that a small key holds what context "
    "tells. A line far below the diagonal uses few of its codes' nats. Where the predictor lies "
    "high and every line low, the structure is not compressible. Dashed: the same method on the "
    "VAR surrogate, in which only the linear part is left.",
    estimator="mean log p(target | code) less log p(target), both mixtures of one bank",
    resampling="speaker (t intervals)",
    assumption="the bank is rich enough: the best head's line says what its family leaves out",
)
def curve_figure(
    canvas: svg.Canvas, data: ReportData, representation: str, target: str, lag_frames: int,
    base: str,
) -> Drawing | None:  # fmt: skip
    """Nats against ln K, one line per method."""
    rows = choose(
        data.table("keys"), representation=representation, target=target, lag_frames=lag_frames,
        base=base, slice="all",
    )  # fmt: skip
    keys = rows.loc[rows["kind"].isin([KEY, PERMUTED, ORACLE]) & rows["nats"].notna()]
    if keys.empty:
        return None
    axis = canvas.panel(height_in=3.4)
    for number, method in enumerate(_methods(keys)):
        own = choose(keys, method=method)
        look = Look(svg.SERIES[number], method, interval="band")
        draw_line(axis, own, "ln_num_codes", "nats", look)
        twin = own.loc[own["surrogate_nats"].notna()]
        if len(twin):
            dashed = Look(svg.SERIES[number], style="--", is_hollow=True)
            draw_line(axis, twin, "ln_num_codes", "surrogate_nats", dashed)
    for kind, word in ((ORACLE, "target itself"), (PERMUTED, "permuted")):
        own = keys.loc[keys["kind"] == kind]
        if len(own):
            look = Look(svg.GREY, word, "" if kind == PERMUTED else ":", is_hollow=True)
            draw_line(axis, own, "ln_num_codes", "nats", look)
    _levels(axis, data, rows, representation, lag_frames, base)
    axis.set_xlabel("ln K")
    axis.set_ylabel("nats per frame")
    canvas.legend(columns=2)
    columns = ["key", "kind", "num_codes", "nats", "nats_low", "nats_high", "surrogate_nats"]
    frames, speakers = int(keys["num_frames"].max()), int(keys["num_speakers"].max())
    return Drawing(
        rows.loc[:, columns],
        f"{frames} frames of {speakers} speakers",
        title=f"What survives a key {WORDS[base]}: {target}, lag {lag_frames}",
    )


def _methods(keys: pd.DataFrame) -> list[str]:
    """Return the methods that are drawn: those that keep most where choices are made."""
    best = keys.loc[keys["kind"] == KEY].groupby("method")["nats_choice"].max()
    return [str(name) for name in best.sort_values(ascending=False).index[:MAXIMUM_METHODS]]


def _levels(
    axis: Axes, data: ReportData, rows: pd.DataFrame, representation: str, lag_frames: int,
    base: str,
) -> None:  # fmt: skip
    """Draw the diagonal, the predictor and the best head."""
    top = 0.0
    for label, level in (
        ("predictor", _predictor(rows)),
        ("best head", head_gain(data, representation, lag_frames, base)),
    ):
        if np.isfinite(level):
            axis.axhline(level, **(svg.THRESHOLD if label == "predictor" else svg.REFERENCE))
            axis.annotate(f"{label} {level:.2f}", (0.02, level), xycoords=("axes fraction", "data"),
                          va="bottom", fontsize=7)  # fmt: skip
            top = max(top, level)
    ends = np.array([0.0, float(np.nanmax(rows["ln_num_codes"]))])
    axis.plot(ends, ends, label="ln K", **svg.REFERENCE)
    highest = float(np.nanmax(rows.loc[rows["kind"] == KEY, "nats_high"]))
    axis.set_ylim(min(-0.1, axis.get_ylim()[0]), 1.15 * max(top, highest, 0.1))


def _predictor(rows: pd.DataFrame) -> float:
    own = rows.loc[rows["kind"] == PREDICTOR, "nats"]
    return float(own.iloc[0]) if len(own) else float("nan")


def head_gain(
    data: ReportData, representation: str, lag_frames: int, base: str, slice_name: str = "all"
) -> float:
    """Return the best head's gain: over its context-free family alone, over the best null beside.

    NaN where the study scored no head on the representation at this lag.
    """
    table = data.table("prediction")
    if table.empty or representation not in set(table["representation"]):
        return float("nan")
    gains = heads_gains(table, representation, lag_frames, (slice_name,)) or {}
    if slice_name not in gains:
        return float("nan")
    found = gains[slice_name]
    return found.gain.value if base == "linear" else found.information
