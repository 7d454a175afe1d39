"""What context buys against lag, and what the first experiment's score is made of."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from engram_audio.artifacts.columns import choose
from engram_audio.prediction.cells import TARGETS, Cells
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import PLACE, Look, at_places, draw_line, handle, place_ticks
from engram_audio.report.prediction_rows import (
    FIRST_EXPERIMENT,
    cells_of,
    num_dims,
    speakers_words,
    surrogate_cells,
    white_noise_reversion,
)
from engram_audio.verdicts import number

SURROGATE_MARKERS = {"shuffled": "s", "phase_randomized": "D", "var": "^", "var_resampled": "v"}
PARTS = (  # column, label, colour, opacity
    ("mean_reversion", "mean reversion", svg.GREY, 0.30),
    ("shape", "shape of the marginal", svg.GREY, 0.65),
    ("linear", "linear context (best null)", svg.ORANGE, 0.60),
)
REAL_LABEL = "context beyond every null: real"


@figure(
    "context-gain",
    "What context buys beyond every null",
    shows="Gain in nats per frame against lag, one line for each head with its interval, hollow "
    "marks for surrogates, and a line at zero where white noise lies.",
    caption="Above zero, the past says something about the next frame that no marginal, AR(1), "
    "ridge or speaker mean says. White noise scores zero at every lag. A gain that the hollow "
    "surrogates reach as well is no local structure.",
    estimator="mean over eval frames of NLL(null) minus NLL(head), paired frame by frame; the null "
    "was chosen before eval",
    resampling="speaker (t interval of the ratio of sums)",
    assumption="the best null is as rich as train data allow; training has converged",
    is_wide=True,
)
def gain_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Gain of each head over the best null against lag, beside surrogates and white noise."""
    cells = cells_of(data, representation)
    heads, surrogates = cells.heads(), surrogate_cells(data, representation)
    if not heads:
        return None
    own = {head: Look(color, head, interval="bars") for head, color in svg.series(heads).items()}
    others = {kind: _surrogate_look(kind) for kind in sorted(surrogates)}
    targets = cells.targets()
    axes = canvas.panels(len(targets), width_in=svg.WIDE_IN, height_in=3.2)
    for axis, target in zip(axes, targets, strict=True):
        _draw_gains(axis, cells, surrogates, target, own, others)
        axis.set(
            title=f"target {TARGETS[target]}",
            xlabel="lag: frames from the end of the context to the target",
        )
    axes[0].set_ylabel("gain over the best null, nats/frame")
    white = Line2D([], [], color=svg.INK, linewidth=1, label="white noise, any null")
    looks = [*own.values(), *others.values()]
    canvas.legend([*(handle(look) for look in looks), white], columns=4)
    rows = choose(cells.rows, kind="head")
    columns = ["lag_frames", "target", "model", "gain_nats", "gain_nats_low", "gain_nats_high"]
    frames = [rows.assign(surrogate=""), *(_named(kind, c) for kind, c in surrogates.items())]
    table = pd.concat(frames, ignore_index=True)
    return Drawing(table.loc[:, ["surrogate", *columns, "best_null"]], speakers_words(rows))


def _surrogate_look(kind: str) -> Look:
    marker = SURROGATE_MARKERS.get(kind, "v")
    return Look(svg.GREY, f"surrogate {kind}, best head", "--", marker, True, "bars")


def _named(kind: str, cells: Cells) -> pd.DataFrame:
    return choose(cells.rows, kind="head").assign(surrogate=kind)


def _draw_gains(
    axis: Axes,
    cells: Cells,
    surrogates: dict[str, Cells],
    target: str,
    own: dict[str, Look],
    others: dict[str, Look],
) -> None:
    """Draw the best head on each surrogate, then each head. Lines stand a little apart."""
    lags = cells.lags(target)
    axis.axhline(0, color=svg.INK, linewidth=1)
    for position, (kind, look) in enumerate(others.items()):
        rows = choose(surrogates[kind].rows, kind="head", target=target, lag_frames=lags)
        best = rows.sort_values("gain_nats", kind="stable").groupby("lag_frames").tail(1)
        placed = at_places(best, "lag_frames", lags, 0.05 * (position + 1))
        draw_line(axis, placed, PLACE, "gain_nats", look)
    for position, (head, look) in enumerate(own.items()):
        line = choose(cells.rows, model=head, target=target)
        offset = 0.03 * (position - (len(own) - 1) / 2)
        draw_line(axis, at_places(line, "lag_frames", lags, offset), PLACE, "gain_nats", look)
    place_ticks(axis, lags)


class Decomposition(NamedTuple):
    """One bar, in nats per frame gained (the first experiment's dNLL with its sign turned).

    Attributes:
        label: Lag and model.
        parts: Mean reversion, shape, linear context.
        real: Gain over the best null.
        low: Lower end of its interval.
        high: Upper end.
        is_null: Whether it is a reference whose answer is known.
    """

    label: str
    parts: tuple[float, float, float]
    real: float
    low: float
    high: float
    is_null: bool

    @property
    def total(self) -> float:
        """The score as first defined, with its sign turned."""
        return sum(self.parts) + self.real


def decompose(row: dict[str, object], label: str) -> Decomposition | None:
    """Take a row's dNLL apart; None where delta has no such score at this lag."""
    names = ("dnll_mean_reversion", "dnll_shape", "dnll_context_null")
    parts = [-number.as_float(row[name]) for name in names]
    gain = [number.as_float(row[f"gain_nats{end}"]) for end in ("", "_low", "_high")]
    if not np.isfinite([*parts, gain[0]]).all():
        return None
    return Decomposition(label, (parts[0], parts[1], parts[2]), gain[0], gain[1], gain[2], False)


def decompositions(data: ReportData, representation: str) -> list[Decomposition]:
    """Return the bars: per lag the chosen head, the first recipe, and white noise."""
    cells, dims = cells_of(data, representation), num_dims(data, representation)
    bars = []
    for lag in cells.lags("delta"):
        names = [cells.chosen_head(lag, "delta")]
        if FIRST_EXPERIMENT in cells.heads() and FIRST_EXPERIMENT not in names:
            names.append(FIRST_EXPERIMENT)
        for name in names:
            bar = decompose(cells.row(name, lag, "delta"), f"lag {lag}: {name}")
            bars += [bar] if bar is not None else []
        if dims is not None:
            white = white_noise_reversion(dims, lag)
            label = f"lag {lag}: white noise, D = {dims}"
            bars.append(Decomposition(label, (white, 0.0, 0.0), 0.0, 0.0, 0.0, True))
    return bars


@figure(
    "dnll-parts",
    "Which part of the first experiment's score is real",
    shows="Horizontal bars for each lag: mean reversion, shape and linear context in muted "
    "colours, then in strong blue what context adds beyond every null, with its interval. Below "
    "each the bar of white noise.",
    caption="Only the blue part is structure that a lookup could use. Grey is what a head gains "
    "because the step contains \N{MINUS SIGN}xₜ₋₁ (white noise gains it too) and because a "
    "mixture fits the marginal better than one Gaussian. Orange is linear. Red stands for a loss: "
    "the head scores worse than the best null. The diamond is the score as first defined, its sign "
    "turned.",
    estimator="differences of mean NLL on the same eval frames: Gaussian marginal of the step "
    "\N{RIGHTWARDS ARROW} Gaussian marginal of the better space \N{RIGHTWARDS ARROW} best "
    "marginal \N{RIGHTWARDS ARROW} best null \N{RIGHTWARDS ARROW} head; they add up exactly",
    resampling="speaker (interval of the blue part, paired)",
    assumption="the head of each lag was chosen before eval; white noise in closed form",
    is_wide=True,
)
def decomposition_figure(
    canvas: svg.Canvas, data: ReportData, representation: str
) -> Drawing | None:
    """Stacked bars of the first experiment's dNLL: which part of it is real."""
    bars = decompositions(data, representation)
    if not any(not bar.is_null for bar in bars):
        return None
    _draw_bars(canvas.panel(width_in=svg.WIDE_IN, height_in=1.1 + 0.36 * len(bars)), bars)
    canvas.legend(_bar_legend(), columns=5)
    table = pd.DataFrame(
        {
            "bar": bar.label, "total": bar.total,
            **dict(zip([part[0] for part in PARTS], bar.parts, strict=True)),
            "real": bar.real, "real_low": bar.low, "real_high": bar.high,
        }
        for bar in bars
    )  # fmt: skip
    heads = choose(cells_of(data, representation).rows, kind="head")
    return Drawing(table, speakers_words(heads))


def _draw_bars(axis: Axes, bars: list[Decomposition]) -> None:
    spread = max(abs(edge) for bar in bars for edge in (bar.total, sum(bar.parts), 1e-9))
    for place, bar in enumerate(bars):
        start = 0.0
        height = 0.26 if bar.is_null else 0.44
        for value, (_, _, color, opacity) in zip(bar.parts, PARTS, strict=True):
            axis.barh(place, value, height, start, color=color, alpha=opacity, linewidth=0)
            start += value
        if not bar.is_null:
            color = svg.BLUE if bar.real >= 0 else svg.VERMILION
            axis.barh(place, bar.real, 0.66, start, color=color, linewidth=0)
            axis.hlines(place, start + bar.low, start + bar.high, color=svg.INK, linewidth=1.2)
            axis.plot(bar.total, place, "D", color=svg.INK, markersize=3.5)
        decimals = number.decimals_of_width(bar.high - bar.low)
        text = number.interval(bar.real, bar.low, bar.high, decimals)
        right = np.nanmax([bar.total, sum(bar.parts), start + bar.high, 0.0])
        label = "real: 0" if bar.is_null else f"real: {text} of {number.fixed(bar.total, decimals)}"
        axis.annotate(
            label, (right + 0.012 * spread, place), (4, 0), textcoords="offset points",
            va="center", fontweight="normal" if bar.is_null else "bold",
        )  # fmt: skip
    axis.axvline(0, **svg.REFERENCE)
    axis.set_yticks(range(len(bars)), [bar.label for bar in bars])
    axis.set(
        ylim=(len(bars) - 0.4, -0.6),
        xlabel="nats per frame gained over a diagonal Gaussian of the step",
    )
    axis.margins(x=0.02)
    low, high = axis.get_xlim()
    axis.set_xlim(low, high + 0.42 * (high - low))  # room for the words
    axis.grid(False, axis="y")


def _bar_legend() -> list[Patch | Line2D]:
    handles: list[Patch | Line2D] = [
        Patch(color=color, alpha=opacity, linewidth=0, label=label)
        for _, label, color, opacity in PARTS
    ]
    handles.append(Patch(color=svg.BLUE, linewidth=0, label=REAL_LABEL))
    handles.append(
        Line2D([], [], color=svg.INK, marker="D", linestyle="", markersize=3.5, label="total")
    )
    return handles
