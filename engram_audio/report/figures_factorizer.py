"""Rate against reconstruction, and what each part of the factorised latents is used for."""

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import Look, draw_line, draw_lines, draw_marks

CASES = {
    "error_posterior": ("both, as inferred", svg.BLUE),
    "error_prior": ("z_rec from its prior", svg.GREEN),
    "error_shuffled_rec": ("z_rec of other frames", svg.VERMILION),
    "error_shuffled_dyn": ("z_dyn of other frames", svg.ORANGE),
}
RATE, ERROR = "innovation_bits_per_s", "error_posterior"


def _eval_rows(data: ReportData, representation: str) -> pd.DataFrame:
    table = data.tables["factorizer"]
    rows = choose(table, representation=representation, part="eval", slice="all")
    return rows.loc[rows["seed"] == rows["seed"].min()]


@figure(
    "split-usage",
    "Is the split used?",
    shows="Reconstruction error of each variant as inferred, with z_rec from its prior, and with "
    "z_rec or z_dyn of other frames. A dashed line is the error of the train mean.",
    caption="Shuffling a part among frames must cost reconstruction, or that part is not used. "
    "Where z_rec from its prior is as good as the inferred one, z_rec is redundant: z_dyn has seen "
    "the frame.",
    estimator="ratio of sums of squared errors over eval speakers",
    resampling="speaker (t intervals)",
    assumption="frames are permuted among those scored together",
    is_wide=True,
)
def usage_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Reconstruction error of every variant with parts replaced, one row of marks each."""
    rows = _eval_rows(data, representation)
    rows = rows.loc[rows["sweep"].isna() | (rows["sweep"] == "")]
    if rows.empty:
        return None
    names = rows["factorizer"].tolist()
    axis = canvas.panel(width_in=svg.WIDE_IN, height_in=1.2 + 0.38 * len(names))
    places = np.arange(len(names))[::-1]
    for column, (label, color) in CASES.items():
        draw_marks(axis, rows, column, places, color, label)
    axis.axvline(1.0, **svg.THRESHOLD)
    axis.set_yticks(places, names)
    axis.set_ylim(-0.6, len(names) - 0.4)
    axis.set_xlim(left=0)
    axis.set_xlabel("squared error, share of the latents' variance")
    canvas.legend(columns=2)
    columns = [f"{case}{end}" for case in CASES for end in ("", "_low", "_high")]
    frames, speakers = int(rows["num_frames"].max()), int(rows["num_speakers"].max())
    return Drawing(rows[["factorizer", *columns]], f"{frames} frames of {speakers} speakers")


@figure(
    "rate-error",
    "Rate and reconstruction",
    shows="Reconstruction error against rate for variants and sweep points, with the front that no "
    "point beats in both.",
    caption="Everything that z_dyn and z_rec say about a frame beyond its past. Variants whose "
    "z_dyn sees the frame for nothing have no honest rate and are left out.",
    estimator="mean divergence of posterior and prior; ratio of sums of squared errors",
    resampling="none in the picture; intervals are in the table",
    assumption="points are compared on eval: choosing one by this figure would be selection",
)
def frontier_figure(canvas: svg.Canvas, data: ReportData, representation: str) -> Drawing | None:
    """Rate against reconstruction error of variants and sweep points; the front is joined."""
    rows = _eval_rows(data, representation)
    rows = rows.loc[np.isfinite(rows["rate_nats"].to_numpy(float)) & rows["is_honest"].astype(bool)]
    if len(rows) < 2:
        return None
    named = rows.assign(sweep_name=rows["sweep"].fillna("").astype(str))
    colors = svg.series(sorted(set(named["sweep_name"])))
    looks = {name: Look(color, name or "variants", style="") for name, color in colors.items()}
    axis = canvas.panel()
    draw_lines(axis, named, "sweep_name", RATE, ERROR, looks, markersize=5)
    front = Look(svg.INK, "nothing is better in both", marker="", is_hollow=True)
    draw_line(axis, _front(rows), RATE, ERROR, front)
    axis.set(
        xlabel="rate of the innovation, bits/s",
        ylabel="error, share of variance",
        ylim=(0, 1.08 * float(rows[ERROR].max())),
    )
    canvas.legend()
    columns = ["factorizer", "sweep", "state_dims", "target_nats", RATE, ERROR, "information_nats"]
    return Drawing(rows[columns], f"{len(rows)} trained factorisers")


def _front(rows: pd.DataFrame) -> pd.DataFrame:
    ordered = rows.sort_values(RATE)
    return ordered.loc[ordered[ERROR] <= ordered[ERROR].cummin()]
