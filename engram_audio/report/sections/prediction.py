"""What context buys beyond every null, and what the first experiment's score is made of."""

import math
from typing import Any

from engram_audio.report import figures_prediction as figures
from engram_audio.report import figures_prediction_scores as scores
from engram_audio.report import number
from engram_audio.report.data import ReportData, choose
from engram_audio.report.figure import FigureView, draw_within_share
from engram_audio.report.gate_rows import GateRowView, strip_of
from engram_audio.report.prediction_rows import (
    TARGETS,
    Cells,
    cells_of,
    largest_surrogate_gain,
    predicted,
    surrogate_cells,
)
from engram_audio.report.prediction_tables import (
    gain_table,
    robust_table,
    rollout_table,
    worst_rows,
    worst_table,
)
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.sections import listening

DRAW = (
    figures.decomposition_figure,
    figures.gain_figure,
    scores.direction_figure,
    scores.magnitude_figure,
    scores.calibration_figure,
)
OUTCOMES = {"real": "good", "open": "open", "none": "bad"}


def build(data: ReportData) -> dict[str, Any]:
    """Gather headline rows, figures, tables, worst frames and their players."""
    names = predicted(data)
    shown, left_out = draw_within_share(names, lambda name: (draw(data, name) for draw in DRAW))
    return {
        "groups": [_group(data, name, drawn) for name, drawn in shown.items()],
        "left_out": left_out,
        "unavailable": [n for n in data.base_representations() if n not in names] if names else [],
        "gains": gain_table(data) if names else None,
        "robust": robust_table(data) if names else None,
        "worst": worst_table(data) if names else None,
        "players": worst_players(data) if names else [],
        "rollout": rollout_table(data) if names else None,
    }


def _group(data: ReportData, name: str, drawn: list[FigureView]) -> dict[str, Any]:
    rows = headline_rows(cells_of(data, name), surrogate_cells(data, name))
    return {"name": name, "rows": rows, "figures": drawn}


def headline_rows(cells: Cells, surrogates: dict[str, Cells]) -> list[GateRowView]:
    """Return one row per target and lag: is the gain above 0, and above the surrogates'?"""
    found = []
    for target in cells.targets():
        for lag in cells.lags(target):
            head = cells.chosen_head(lag, target)
            if head is not None:
                surrogate = largest_surrogate_gain(surrogates, lag, target)
                found.append(_headline(cells, head, lag, target, surrogate))
    return found


def outcome_of(low: float, high: float, surrogate: float) -> str:
    """Return `real`, `open` or `none` for the interval of a gain.

    real: wholly above 0 and above the largest gain on a surrogate; none: wholly below 0.
    """
    if low > max(0.0, surrogate if math.isfinite(surrogate) else 0.0):
        return "real"
    return "none" if high < 0 else "open"


def _headline(cells: Cells, head: str, lag: int, target: str, surrogate: float) -> GateRowView:
    row = cells.row(head, lag, target)
    gain, low, high = (number.as_float(row[f"gain_nats{end}"]) for end in ("", "_low", "_high"))
    outcome, decimals = outcome_of(low, high, surrogate), number.decimals_of_width(high - low)
    has_surrogate = math.isfinite(surrogate)
    nulls = f"null: 0; surrogates: up to {number.fixed(surrogate, decimals)}"
    return GateRowView(
        outcome=outcome,
        mark=OUTCOMES[outcome],
        sentence=_sentence(row, outcome, gain, decimals, lag, target),
        where=_against(cells, head, lag, target, decimals),
        numbers=number.interval(gain, low, high, decimals),
        asked=nulls if has_surrogate else "null: 0",
        strip=strip_of(gain, low, high, [0.0, surrogate] if has_surrogate else [0.0]),
    )


def _sentence(
    row: dict[str, object], outcome: str, gain: float, decimals: int, lag: int, target: str
) -> str:
    rate = number.fixed(row["gain_bits_per_s"], 1)
    text = f"{TARGETS[target]} at lag {lag}: "
    if outcome == "none":
        text += (
            f"the head scores {number.fixed(-gain, decimals)} nats/frame worse than the best null"
        )
    else:
        text += f"context buys {number.fixed(gain, decimals)} nats/frame ({rate} bits/s) beyond the"
        text += " best null" if outcome == "real" else " best null, not told from its nulls"
    total = -number.as_float(row["dnll_first_experiment"])
    if target == "delta" and math.isfinite(total):
        text += f"; {number.fixed(total, decimals)} as first scored"
    return f"{text}."


def _against(cells: Cells, head: str, lag: int, target: str, decimals: int) -> str:
    null = cells.row(head, lag, target)["best_null"]
    strictest, other = cells.strictest_gain(head, lag, target)
    where = f"{head} against {null} (best on val)"
    if other and other != null:
        where += f"; against {other}, best on eval: {number.fixed(strictest, decimals)}"
    return where


def worst_players(data: ReportData) -> list[dict[str, str]]:
    """Return links to round-trip players that hold a worst frame of some head or null."""
    rows = worst_rows(data)
    groups = listening.build(data)["groups"] if len(rows) else []
    links = []
    for group in groups:
        found = choose(rows, representation=group["name"])
        for card in group["cards"]:
            own = choose(found, utterance_id=card["utterance"])
            times = sorted({float(time) for time in own["time_s"].dropna()})
            heard = [number.fixed(t, 1) for t in times if t <= data.settings.player_duration_s]
            if heard:
                text = f"{card['utterance']}, {group['name']}"
                links.append({"id": card["id"], "text": text, "times": ", ".join(heard)})
    return links


SECTION = SectionSpec(
    name="prediction",
    title="What context buys",
    lead=(
        "A density of the next frame given a stale past is scored on speakers never seen, against "
        "every explanation without local structure: marginals, AR(1), ridge, speaker means. Only "
        "what is left beyond the best of them (blue below) is something that a memory could store."
    ),
    needs=(),
    build=build,
)
