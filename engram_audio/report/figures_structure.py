"""Figures of the structure stage made of the published tables: sweep, curve, speakers."""

from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.key_names import with_key_parts
from engram_audio.report.lines import DASHES, Look, draw_lines, handle
from engram_audio.verdicts import number

INPUT_DASHES = {"raw": "-", "speaker_centred": "--", "increments": ":"}
ATTAINABLE: dict[str, Any] = {**svg.THRESHOLD, "label": "attainable"}


def registered_rows(
    data: ReportData, name: str, representation: str, **wanted: Any
) -> tuple[pd.DataFrame, list[str]]:
    """Return the rows of the registered keys on the first split, and which keys have any."""
    keys = list(data.registered["keys"])
    rows = choose(
        data.table(name),
        representation=representation, split_seed=data.first_split(representation), key=keys,
        **wanted,
    )  # fmt: skip
    return rows, [key for key in keys if key in set(rows["key"])]


@figure(
    "sweep",
    "Added over K and lag",
    shows="Lines of what a key adds to ridge against codebook size for each key family, one panel "
    "for each lag, with what K cells of the target itself would add.",
    caption="0 means that the key says nothing that a linear model of the same past does not say. "
    "No linear Gaussian process lies above 0. The dashed line is what K cells could add at best.",
    estimator="(error of ridge - error of ridge and cells) / error of the mean, eval, corrected",
    resampling="speaker (t interval of the ratio of sums, shaded)",
    assumption="speakers are exchangeable; frames compared across lags are the same frames",
    is_wide=True,
)
def sweep_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Added against codebook size, one panel per lag, beside the attainable."""
    table = choose(
        data.tables["structure"],
        representation=representation, split_seed=data.first_split(representation),
        slice="all", subspace="all", part="eval",
    )  # fmt: skip
    table = with_key_parts(table)
    is_kmeans = table["quantizer"].str.startswith("kmeans") & table["added"].notna()
    keys = table.loc[is_kmeans & (table["input"] != "")]
    if keys.empty:
        return None
    lags = sorted(keys["lag_frames"].unique())
    colors = svg.series(sorted(keys["family"].unique()))
    axes = canvas.panels(len(lags), width_in=svg.WIDE_IN, height_in=3.1)
    for axis, lag in zip(axes, lags, strict=True):
        _draw_sweep(axis, choose(keys, lag_frames=lag), colors)
        axis.set(title=f"lag {lag}", xlabel="codebook size K")
    axes[0].set_ylabel("added to ridge, share of variance")
    canvas.legend(_sweep_legend(colors, sorted(keys["input"].unique())), columns=4)
    columns = ["key", "codebook_size", "lag_frames", "added", "added_low", "added_high"]
    words = f"{num_speakers_words(keys)} eval speakers, {len(keys)} keys and lags"
    return Drawing(keys.loc[:, [*columns, "attainable"]], words)


def _draw_sweep(axis: Axes, rows: pd.DataFrame, colors: dict[str, str]) -> None:
    looks = {
        (family, source): Look(
            colors[family], None, INPUT_DASHES.get(source, "-."), interval="band"
        )
        for family, source in sorted(set(zip(rows["family"], rows["input"], strict=True)))
    }
    columns = ("family", "input")
    draw_lines(axis, rows, columns, "codebook_size", "added", looks, markersize=2.8)
    sizes = np.unique(rows["codebook_size"].to_numpy(float))
    axis.plot(sizes, _attainable(rows, sizes), **ATTAINABLE)
    axis.axhline(0, **svg.REFERENCE)
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, [_short_size(size) for size in sizes])


def _attainable(rows: pd.DataFrame, sizes: np.ndarray) -> list[float]:
    """Return what is attainable at each codebook size, NaN where no oracle has it."""
    values = [choose(rows, codebook_size=size)["attainable"].dropna() for size in sizes]
    return [float(found.iloc[0]) if len(found) else float("nan") for found in values]


def _short_size(size: float) -> str:
    return f"{int(size) // 1024}k" if size >= 1024 else str(int(size))


def _sweep_legend(colors: dict[str, str], inputs: list[str]) -> list[Line2D]:
    looks = [Look(color, name, marker="") for name, color in colors.items()]
    looks += [Look(svg.INK, name, INPUT_DASHES.get(name, "-."), "") for name in inputs]
    return [*map(handle, looks), Line2D([], [], **ATTAINABLE)]


@figure(
    "confidence",
    "Confidence curve",
    shows="Lines of the variance ratio against the share of frames kept, solid as they come and "
    "dashed, where there are energies, with the same energies as all frames.",
    caption="If the key knows some frames better than others, the line falls to the left. Dashed "
    "lines keep the energy distribution: quiet frames alone cannot make them fall. Vectors without "
    "energies have no dashed lines.",
    estimator="ratio of sums recomputed on the kept frames; confidence is nearness to the cell",
    resampling="speaker",
    assumption="confidence is known before the target, from the context alone",
)
def curve_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Ratio on the most confident frames, plain and energy-matched."""
    lag = data.registered["lag_frames"]
    rows, keys = registered_rows(data, "curves", representation, lag_frames=lag, slice="all")
    if rows.empty:
        return None
    looks = {}
    for key, color in svg.series(keys).items():
        looks[key, "plain"] = Look(color, f"{key}, plain", interval="band")
        if "energy_matched" in set(rows["matching"]):
            looks[key, "energy_matched"] = Look(color, f"{key}, energy matched", "--")
    axis = canvas.panel()
    draw_lines(axis, rows, ("key", "matching"), "kept_fraction", "ratio", looks)
    axis.axhline(1, **svg.REFERENCE)
    axis.set(
        xlabel="share of frames kept, most confident first",
        ylabel="variance ratio on the kept frames",
    )
    canvas.legend()
    return Drawing(rows, f"{num_speakers_words(rows)} eval speakers")


@figure(
    "speakers",
    "Per-speaker distribution",
    shows="Step curves of the share of speakers whose ratio lies below a value, eval speakers "
    "solid and held-out utterances of train speakers dotted.",
    caption="Where the solid line (speakers never seen) lies right of the dotted one (train "
    "speakers, other utterances), the key learned voices rather than speech.",
    estimator="each speaker's own ratio of sums, train cell means",
    resampling="none: every speaker is drawn",
    assumption="speakers have enough frames for a ratio of their own",
)
def speaker_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Each speaker's ratio, sorted: train speakers' held-out utterances beside eval speakers."""
    rows, _ = registered_rows(
        data, "speakers", representation,
        lag_frames=data.registered["lag_frames"], slice="all", subspace="all",
        part=["val", "eval"],
    )  # fmt: skip
    rows = rows.loc[rows["ratio"].notna()]
    if rows.empty:
        return None
    ranks = rows.groupby(["key", "part"])["ratio"]
    shares = (ranks.rank("first") - 0.5) / ranks.transform("size")
    keys = [key for key in data.registered["keys"] if key in set(rows["key"])]
    looks = {
        (key, part): Look(color, f"{key}, {part}", style, "")
        for key, color in svg.series(keys).items()
        for part, style in (("eval", "-"), ("val", ":"))
    }
    axis = canvas.panel()
    draw_lines(
        axis, rows.assign(share=shares), ("key", "part"), "ratio", "share", looks,
        drawstyle="steps-mid",
    )  # fmt: skip
    axis.axvline(1, **svg.REFERENCE)
    axis.set(xlabel="variance ratio of a speaker", ylabel="share of speakers below")
    canvas.legend()
    largest = rows.groupby("part")["speaker_id"].nunique().max()
    return Drawing(rows, f"{largest} speakers in the largest part")


@figure(
    "ngrams",
    "Runs of keys already seen",
    shows="Lines of the share of runs of keys on eval that train has seen, against run length, one "
    "for each key and least count.",
    caption="A memory addressed by runs of keys can answer only for runs it has met. The steeper "
    "the fall, the fewer it will know.",
    estimator="runs of eval found at least that often in train / all runs of eval",
    resampling="none: a count",
    assumption="keys one frame apart; a run never crosses an utterance",
)
def ngram_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Share of key runs of eval that train has seen, against their length."""
    rows, keys = registered_rows(data, "ngrams", representation, part="eval")
    if not keys:
        return None
    looks = {
        (key, least): Look(color, f"{key}, seen at least {least} times", style)
        for key, color in svg.series(keys).items()
        for least, style in zip(sorted(set(rows["minimum_count"])), cycle(DASHES), strict=False)
    }
    axis = canvas.panel()
    draw_lines(axis, rows, ("key", "minimum_count"), "order", "coverage", looks)
    svg.value_ticks(axis.xaxis, rows["order"])
    axis.set(
        ylim=(0, 1.03), xlabel="length of the run of keys", ylabel="share of runs seen in train"
    )
    canvas.legend()
    words = f"{number.count(rows['num_ngrams'].max())} runs of the shortest length"
    return Drawing(rows, words)


def num_speakers_words(rows: pd.DataFrame) -> str:
    """Return how many speakers stand behind rows that each count theirs."""
    return number.count(rows["num_speakers"].max(skipna=True))
