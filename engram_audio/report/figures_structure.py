"""Figures of the structure stage made of the published tables: sweep, curve, speakers."""

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import FigureView, content_id, csv_text
from engram_audio.report.key_names import with_key_parts
from engram_audio.verdicts import number

INPUT_DASHES: dict[str, Any] = {"raw": "-", "speaker_centred": "--", "increments": ":"}


def sweep_figure(data: ReportData, representation: str) -> FigureView | None:
    """Ratio against codebook size, one panel per lag, beside floor and best surrogate."""
    table = choose(
        data.tables["structure"],
        representation=representation, split_seed=data.first_split(representation),
        slice="all", subspace="all", part="eval",
    )  # fmt: skip
    table = with_key_parts(table)
    is_kmeans = table["quantizer"].str.startswith("kmeans") & table["ratio"].notna()
    keys = table.loc[is_kmeans & (table["input"] != "")]
    if keys.empty:
        return None
    lags = sorted(keys["lag_frames"].unique())
    families = sorted(keys["family"].unique())
    colors = {name: svg.SERIES[i % len(svg.SERIES)] for i, name in enumerate(families)}
    with svg.canvas(svg.WIDE_IN, 3.1, columns=len(lags)) as (figure, axes):
        for axis, lag in zip(axes, lags, strict=True):
            _draw_sweep(axis, choose(keys, lag_frames=lag), colors)
            axis.set_title(f"lag {lag}")
            axis.set_xlabel("codebook size K")
        axes[0].set_ylabel("variance ratio")
        figure.legend(
            handles=_sweep_legend(colors, sorted(keys["input"].unique())),
            loc="outside lower center",
            ncols=4,
        )
        name = content_id("fig", representation, "sweep")
        title = "Ratio over K and lag"
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            "Lines of the variance ratio against codebook size for each key family, one panel for "
            "each lag, with the floor of the target oracle and the best surrogate below and above.",
        )  # fmt: skip
    columns = ["key", "codebook_size", "lag_frames", "ratio", "ratio_low", "ratio_high", "floor"]
    columns.append("ratio_best_surrogate")
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(keys.loc[:, columns]),
        caption=(
            "1 means that the key says nothing about the next step. The dashed floor is what K "
            "cells could reach at best, the grey line the lowest ratio that any key reaches on a "
            "surrogate: down to there, the spectrum alone explains it."
        ),
        estimator="sum of squared error about train cell means / about the train grand mean, eval",
        num_samples=f"{num_speakers_words(keys)} eval speakers, {len(keys)} keys and lags",
        resampling="speaker (t interval of the ratio of sums, shaded)",
        assumption="speakers are exchangeable; frames compared across lags are the same frames",
        is_wide=True,
    )


def _draw_sweep(axis: Axes, rows: pd.DataFrame, colors: dict[str, str]) -> None:
    lines = sorted(set(zip(rows["family"], rows["input"], strict=True)))
    for family, source in lines:
        line = choose(rows, family=family, input=source).sort_values("codebook_size")
        columns = ["codebook_size", "ratio", "ratio_low", "ratio_high"]
        sizes, ratio, low, high = line.loc[:, columns].to_numpy(float).T
        color, style = colors[family], INPUT_DASHES.get(source, "-.")
        axis.plot(sizes, ratio, style, color=color, marker="o", markersize=2.8)
        axis.fill_between(sizes, low, high, color=color, alpha=0.15, linewidth=0)
    sizes = np.unique(rows["codebook_size"].to_numpy(float))
    axis.plot(sizes, _lowest(rows, "floor", sizes), "--", color=svg.INK, linewidth=1)
    best = _lowest(rows, "ratio_best_surrogate", sizes)
    axis.plot(sizes, best, "-", color=svg.GREY, linewidth=1)
    axis.axhline(1, color=svg.INK, linewidth=0.6)
    axis.set_xscale("log", base=2)
    axis.set_xticks(sizes, [_short_size(size) for size in sizes])


def _lowest(rows: pd.DataFrame, column: str, sizes: np.ndarray) -> list[float]:
    """Return the smallest value of a column at each codebook size, NaN where there is none."""
    values = [choose(rows, codebook_size=size)[column].dropna().to_numpy(float) for size in sizes]
    return [float(found.min()) if len(found) else float("nan") for found in values]


def _short_size(size: float) -> str:
    return f"{int(size) // 1024}k" if size >= 1024 else str(int(size))


def _sweep_legend(colors: dict[str, str], inputs: list[str]) -> list[Line2D]:
    handles = [Line2D([], [], color=color, label=name) for name, color in colors.items()]
    handles += [
        Line2D([], [], color=svg.INK, linestyle=INPUT_DASHES.get(name, "-."), label=name)
        for name in inputs
    ]
    handles.append(Line2D([], [], color=svg.INK, linestyle="--", linewidth=1, label="floor"))
    handles.append(Line2D([], [], color=svg.GREY, linewidth=1, label="lowest of the surrogates"))
    return handles


def curve_figure(data: ReportData, representation: str) -> FigureView | None:
    """Ratio on the most confident frames, plain and energy-matched."""
    rows = choose(
        data.tables["curves"],
        representation=representation, split_seed=data.first_split(representation),
        key=list(data.registered["keys"]), lag_frames=data.registered["lag_frames"], slice="all",
    )  # fmt: skip
    if rows.empty:
        return None
    keys = [key for key in data.registered["keys"] if key in set(rows["key"])]
    with svg.canvas() as (figure, (axis,)):
        for key, color in zip(keys, svg.SERIES, strict=False):
            for matching, style in (("plain", "-"), ("energy_matched", "--")):
                line = choose(rows, key=key, matching=matching).sort_values("kept_fraction")
                label = f"{key}, {matching.replace('_', ' ')}"
                axis.plot(
                    line["kept_fraction"],
                    line["ratio"],
                    style,
                    color=color,
                    marker="o",
                    label=label,
                )
                if matching == "plain":
                    axis.fill_between(
                        line["kept_fraction"], line["ratio_low"], line["ratio_high"],
                        color=color, alpha=0.15, linewidth=0,
                    )  # fmt: skip
        axis.axhline(1, color=svg.INK, linewidth=0.6)
        axis.set_xlabel("share of frames kept, most confident first")
        axis.set_ylabel("variance ratio on the kept frames")
        figure.legend(loc="outside lower center", ncols=1)
        name = content_id("fig", representation, "confidence")
        title = "Confidence curve"
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            "Lines of the variance ratio against the share of frames kept, solid as they come and "
            "dashed with the same energies as all frames.",
        )  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows),
        caption=(
            "If the key knows some frames better than others, the line falls to the left. Dashed "
            "lines keep the energy distribution: quiet frames alone cannot make them fall."
        ),
        estimator="ratio of sums recomputed on the kept frames; confidence is nearness to the cell",
        num_samples=f"{num_speakers_words(rows)} eval speakers",
        resampling="speaker",
        assumption="confidence is known before the target, from the context alone",
    )


def speaker_figure(data: ReportData, representation: str) -> FigureView | None:
    """Each speaker's ratio, sorted: train speakers' held-out utterances beside eval speakers."""
    rows = choose(
        data.tables["speakers"],
        representation=representation, split_seed=data.first_split(representation),
        key=list(data.registered["keys"]), lag_frames=data.registered["lag_frames"],
        slice="all", subspace="all", part=["val", "eval"],
    )  # fmt: skip
    rows = rows.loc[rows["ratio"].notna()]
    keys = [key for key in data.registered["keys"] if key in set(rows["key"])]
    if not keys:
        return None
    with svg.canvas() as (figure, (axis,)):
        for key, color in zip(keys, svg.SERIES, strict=False):
            for part, style in (("eval", "-"), ("val", ":")):
                values = np.sort(choose(rows, key=key, part=part)["ratio"].to_numpy(float))
                if len(values):
                    shares = (np.arange(len(values)) + 0.5) / len(values)
                    axis.step(
                        values, shares, style, where="mid", color=color, label=f"{key}, {part}"
                    )
        axis.axvline(1, color=svg.INK, linewidth=0.6)
        axis.set_xlabel("variance ratio of a speaker")
        axis.set_ylabel("share of speakers below")
        figure.legend(loc="outside lower center", ncols=1)
        name = content_id("fig", representation, "speakers")
        title = "Per-speaker distribution"
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            "Step curves of the share of speakers whose ratio lies below a value, eval speakers "
            "solid and held-out utterances of train speakers dotted.",
        )  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows),
        caption=(
            "Where the solid line (speakers never seen) lies right of the dotted one (train "
            "speakers, other utterances), the key learned voices rather than speech."
        ),
        estimator="each speaker's own ratio of sums, train cell means",
        num_samples=f"{rows.groupby('part')['speaker_id'].nunique().max()} speakers in the largest "
        "part",
        resampling="none: every speaker is drawn",
        assumption="speakers have enough frames for a ratio of their own",
    )


def ngram_figure(data: ReportData, representation: str) -> FigureView | None:
    """Share of key runs of eval that train has seen, against their length."""
    rows = choose(
        data.table("ngrams"),
        representation=representation, split_seed=data.first_split(representation),
        key=list(data.registered["keys"]), part="eval",
    )  # fmt: skip
    keys = [key for key in data.registered["keys"] if key in set(rows["key"])]
    if not keys:
        return None
    orders = sorted(set(rows["order"]))
    counts = sorted(set(rows["minimum_count"]))
    with svg.canvas() as (figure, (axis,)):
        for key, color in zip(keys, svg.SERIES, strict=False):
            for least, style in zip(counts, ("-", "--", ":", "-."), strict=False):
                line = choose(rows, key=key, minimum_count=least).sort_values("order")
                label = f"{key}, seen at least {least} times"
                axis.plot(
                    line["order"], line["coverage"], style, color=color, marker="o", label=label
                )
        axis.set_xticks(orders, [str(order) for order in orders])
        axis.set_ylim(0, 1.03)
        axis.set_xlabel("length of the run of keys")
        axis.set_ylabel("share of runs seen in train")
        figure.legend(loc="outside lower center", ncols=1)
        name = content_id("fig", representation, "ngrams")
        title = "Runs of keys already seen"
        drawing = svg.inline_svg(
            figure, name, f"{title}, {representation}",
            "Lines of the share of runs of keys on eval that train has seen, against run length, "
            "one for each key and least count.",
        )  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows),
        caption=(
            "A memory addressed by runs of keys can answer only for runs it has met. The steeper "
            "the fall, the fewer it will know."
        ),
        estimator="runs of eval found at least that often in train / all runs of eval",
        num_samples=f"{number.count(rows['num_ngrams'].max())} runs of the shortest length",
        resampling="none: a count",
        assumption="keys one frame apart; a run never crosses an utterance",
    )


def num_speakers_words(rows: pd.DataFrame) -> str:
    """Return how many speakers stand behind rows that each count theirs."""
    return number.count(rows["num_speakers"].max(skipna=True))
