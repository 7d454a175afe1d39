"""What a memory gains over each control."""

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.memory.names import CONTROL_WORDS
from engram_audio.report import svg
from engram_audio.report.data import ReportData
from engram_audio.report.figure import Drawing, figure
from engram_audio.report.lines import Look, draw_line, draw_marks

MAXIMUM_MEMORIES = 4
SIZES = {"flops": "operations of one target", "num_parameters": "numbers fitted"}


@figure(
    "memory-gains",
    "Does lookup add anything?",
    shows="Gain of each memory over each control in nats per frame with intervals. Right of the "
    "dashed line the memory is better.",
    caption="A memory helps when it lies right of the line against all controls but k-NN and the "
    "constant gate. Not against nets of its own size: it is capacity. Not against the keys of "
    "other frames: it is regularisation. Not against its own entries in random places: no entry "
    "is read for what it is. k-NN is a bound on thinned frames.",
    estimator="paired difference of mean NLL over eval speakers, mean over training seeds",
    resampling="seed and speaker from three seeds on, else speaker (t intervals)",
    assumption="the memories drawn are those with the best score before eval",
    is_wide=True,
)
def gains_figure(
    canvas: svg.Canvas, data: ReportData, representation: str, lag_frames: int
) -> Drawing | None:
    """Gain over every control, one mark per memory: the best few before eval."""
    rows = _rows(data, representation, lag_frames)
    rows = rows.loc[np.isfinite(rows["gain_seeds_nats"].to_numpy(float))]
    if rows.empty:
        return None
    controls = [name for name in CONTROL_WORDS if name in set(rows["control"])]
    places = np.arange(len(controls))[::-1].astype(float)
    axis = canvas.panel(width_in=svg.WIDE_IN, height_in=1.4 + 0.5 * len(controls))
    chosen = _best_before_eval(data, representation, lag_frames)
    for number, (memory, base) in enumerate(chosen):
        own = choose(rows, memory=memory, predictor=base).set_index("control").reindex(controls)
        shift = 0.16 * (number - (len(chosen) - 1) / 2)
        label = f"{memory} on {base}"
        draw_marks(axis, own, "gain_seeds_nats", places - shift, svg.SERIES[number], label)
    axis.axvline(0.0, **svg.THRESHOLD)
    axis.set_yticks(places, [CONTROL_WORDS[name] for name in controls])
    axis.set_xscale("symlog", linthresh=0.1)
    axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")  # mathematics stays markup
    axis.set_xlabel("gain of the memory, nats per frame (linear between -0.1 and 0.1)")
    canvas.legend(columns=2)
    columns = [
        "memory", "predictor", "control", "gain_seeds_nats", "gain_seeds_nats_low",
        "gain_seeds_nats_high",
        "num_parameters", "num_control_parameters",
    ]  # fmt: skip
    frames, speakers = int(rows["num_frames"].max()), int(rows["num_speakers"].max())
    return Drawing(
        rows[columns],
        f"{frames} frames of {speakers} speakers",
        title=f"Does lookup add anything? Lag {lag_frames}",
    )


@figure(
    "memory-curve",
    "What size buys without a lookup",
    shows="Mean NLL of nets of one family against their operations and their numbers, with "
    "intervals. Dots are memories.",
    caption="A dot below the line is a memory that scores better than a net of its own size. The "
    "line is what a matched net is read from where no net fits a memory's budget.",
    estimator="mean NLL over eval speakers, mean over training seeds",
    resampling="seed and speaker from three seeds on, else speaker (t intervals)",
    assumption="between two nets the score is linear in the logarithm of the size",
    is_wide=True,
)
def curve_figure(
    canvas: svg.Canvas, data: ReportData, representation: str, lag_frames: int
) -> Drawing | None:
    """NLL against FLOPs and parameters: a line for each base, a dot for each memory."""
    rows = choose(
        data.table("memory_curve"), representation=representation, lag_frames=lag_frames,
        part="eval",
    )  # fmt: skip
    if rows.empty:
        return None
    memories = _rows(data, representation, lag_frames)
    memories = choose(memories, control="knock_out")
    bases = sorted({str(name) for name in rows["predictor"]})
    panels = canvas.panels(len(SIZES), width_in=svg.WIDE_IN, height_in=3.0)
    for axis, (size, words) in zip(panels, SIZES.items(), strict=True):
        for number, base in enumerate(bases):
            color = svg.SERIES[number % len(svg.SERIES)]
            label = f"nets on {base}"
            own = choose(rows, predictor=base)
            draw_line(axis, own, size, "nll_nats", Look(color, label, interval="band"))
            dots = choose(memories, predictor=base)
            look = Look(color, f"memories on {base}", style="", marker="s")
            draw_line(axis, dots, size, "memory_nll_nats", look)
        axis.set_xscale("log")
        axis.xaxis.set_major_formatter(lambda value, _: f"{value:g}")  # mathematics stays markup
        axis.xaxis.set_minor_formatter(lambda value, _: "")
        axis.set_xlabel(words)
    panels[0].set_ylabel("NLL, nats per frame")
    canvas.legend(columns=2)
    columns = ["predictor", "net", *SIZES, "nll_nats", "nll_nats_low", "nll_nats_high"]
    counts = memories[["num_frames", "num_speakers"]].to_numpy(float).max(axis=0)
    return Drawing(rows.loc[:, columns], f"{counts[0]:.0f} frames of {counts[1]:.0f} speakers")


def _best_before_eval(
    data: ReportData, representation: str, lag_frames: int
) -> list[tuple[str, str]]:
    """Return the memories that were chosen first, each with the head that it helps."""
    chosen_on = data.tables["memory"]["chosen_on"].tolist()[:1]
    rows = _rows(data, representation, lag_frames, *chosen_on).sort_values("memory_nll_nats")
    pairs = zip(rows["memory"], rows["predictor"], strict=True)
    return list(dict.fromkeys(pairs))[:MAXIMUM_MEMORIES]


def _rows(
    data: ReportData, representation: str, lag_frames: int, part: str = "eval"
) -> pd.DataFrame:
    table = data.tables["memory"]
    rows = choose(
        table, representation=representation, lag_frames=lag_frames, part=part, slice="all"
    )
    return rows.loc[rows["seed"] == rows["seed"].min()]
