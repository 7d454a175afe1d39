"""Rate against reconstruction, and what each part of the factorised latents is used for."""

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import FigureView, content_id, csv_text

CASES = {
    "error_posterior": ("both, as inferred", svg.BLUE),
    "error_prior": ("z_rec from its prior", svg.GREEN),
    "error_shuffled_rec": ("z_rec of other frames", svg.VERMILION),
    "error_shuffled_dyn": ("z_dyn of other frames", svg.ORANGE),
}


def _eval_rows(data: ReportData, representation: str) -> pd.DataFrame:
    table = data.tables["factorizer"]
    rows = choose(table, representation=representation, part="eval", slice="all")
    return rows.loc[rows["seed"] == rows["seed"].min()]


def usage_figure(data: ReportData, representation: str) -> FigureView | None:
    """Reconstruction error of every variant with parts replaced, one row of marks each."""
    rows = _eval_rows(data, representation)
    rows = rows.loc[rows["sweep"].isna() | (rows["sweep"] == "")]
    if rows.empty:
        return None
    names = rows["factorizer"].tolist()
    with svg.canvas(svg.WIDE_IN, 1.2 + 0.38 * len(names)) as (figure, (axis,)):
        places = np.arange(len(names))[::-1]
        for column, (label, color) in CASES.items():
            values = rows[column].to_numpy(float)
            low, high = (rows[f"{column}_{end}"].to_numpy(float) for end in ("low", "high"))
            axis.errorbar(
                values, places, xerr=np.maximum([values - low, high - values], 0), fmt="o",
                color=color, label=label, markersize=4, linewidth=1,
            )  # fmt: skip
        axis.axvline(1.0, color=svg.INK, linewidth=1, linestyle="--")
        axis.set_yticks(places, names)
        axis.set_ylim(-0.6, len(names) - 0.4)
        axis.set_xlim(left=0)
        axis.set_xlabel("squared error, share of the latents' variance")
        figure.legend(loc="outside lower center", ncols=2)
        name, title = content_id("fig", representation, "split-usage"), "Is the split used?"
        drawing = svg.inline_svg(
            figure, name, title,
            "Reconstruction error of each variant as inferred, with z_rec from its prior, and with "
            "z_rec or z_dyn of other frames; a dashed line is the error of the train mean.",
        )  # fmt: skip
    columns = [f"{case}{end}" for case in CASES for end in ("", "_low", "_high")]
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows[["factorizer", *columns]]),
        caption=(
            "Shuffling a part among frames must cost reconstruction, or that part is not used. "
            "Where z_rec from its prior is as good as the inferred one, z_rec is redundant: z_dyn "
            "has seen the frame."
        ),
        estimator="ratio of sums of squared errors over eval speakers",
        num_samples=f"{int(rows['num_frames'].max())} frames of "
        f"{int(rows['num_speakers'].max())} speakers",
        resampling="speaker (t intervals)",
        assumption="frames are permuted among those scored together",
        is_wide=True,
    )


def frontier_figure(data: ReportData, representation: str) -> FigureView | None:
    """Rate against reconstruction error of variants and sweep points; the front is joined."""
    rows = _eval_rows(data, representation)
    rows = rows.loc[np.isfinite(rows["rate_nats"].to_numpy(float)) & rows["is_honest"].astype(bool)]
    if len(rows) < 2:
        return None
    sweep = rows["sweep"].fillna("").astype(str)
    with svg.canvas() as (figure, (axis,)):
        for name, color in zip(
            sorted(set(sweep)), (svg.BLUE, svg.VERMILION, svg.GREEN, svg.ORANGE), strict=False
        ):
            part = rows.loc[sweep == name].sort_values("innovation_bits_per_s")
            label = name or "variants"
            axis.plot(
                part["innovation_bits_per_s"], part["error_posterior"], "o", color=color,
                label=label, markersize=5,
            )  # fmt: skip
        front = _front(rows)
        axis.plot(
            front["innovation_bits_per_s"], front["error_posterior"], "-", color=svg.INK,
            linewidth=1, label="nothing is better in both",
        )  # fmt: skip
        axis.set_xlabel("rate of the innovation, bits/s")
        axis.set_ylabel("error, share of variance")
        axis.set_ylim(0, 1.08 * float(rows["error_posterior"].max()))
        figure.legend(loc="outside lower center", ncols=1)
        name, title = content_id("fig", representation, "rate-error"), "Rate and reconstruction"
        drawing = svg.inline_svg(
            figure, name, title,
            "Reconstruction error against rate for variants and sweep points, with the front that "
            "no point beats in both.",
        )  # fmt: skip
    columns = [
        "factorizer", "sweep", "state_dims", "target_nats", "innovation_bits_per_s",
        "error_posterior", "information_nats",
    ]  # fmt: skip
    return FigureView(
        name=name,
        title=title,
        svg=drawing,
        csv=csv_text(rows[columns]),
        caption=(
            "Everything that z_dyn and z_rec say about a frame beyond its past. Variants whose "
            "z_dyn sees the frame for nothing have no honest rate and are left out."
        ),
        estimator="mean divergence of posterior and prior; ratio of sums of squared errors",
        num_samples=f"{len(rows)} trained factorisers",
        resampling="none in the picture; intervals are in the table",
        assumption="points are compared on eval: choosing one by this figure would be selection",
    )


def _front(rows: pd.DataFrame) -> pd.DataFrame:
    ordered = rows.sort_values("innovation_bits_per_s")
    best = ordered["error_posterior"].cummin()
    return ordered.loc[ordered["error_posterior"] <= best]
