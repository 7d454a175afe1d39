"""What context buys beyond every null, and what the first experiment's score is made of."""

from typing import Any

from engram_audio.artifacts.columns import choose
from engram_audio.report import figures_prediction as figures
from engram_audio.report import figures_prediction_scores as scores
from engram_audio.report.data import ReportData
from engram_audio.report.figure import draw_within_share
from engram_audio.report.prediction_rows import predicted
from engram_audio.report.prediction_tables import (
    gain_table,
    robust_table,
    rollout_table,
    worst_rows,
    worst_table,
)
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.sections import listening
from engram_audio.report.tuning_table import tuning_table
from engram_audio.report.verdict_rows import by_subject
from engram_audio.verdicts import number

DRAW = (
    figures.gain_figure,
    scores.direction_figure,
    scores.magnitude_figure,
    scores.calibration_figure,
)


def build(data: ReportData) -> dict[str, Any]:
    """Gather verdicts, figures, tables, worst frames and their players."""
    names = predicted(data)
    groups = by_subject(data.verdicts("prediction"), names)
    figures_drawn = (figures.decomposition_figure, *DRAW) if data.is_of_brief else DRAW
    drawn, left_out = draw_within_share(
        names, lambda name: (draw(data, name) for draw in figures_drawn)
    )
    return {
        "groups": [{**one._asdict(), "figures": drawn.get(one.name, [])} for one in groups],
        "left_out": left_out,
        "unavailable": [n for n in data.base_representations() if n not in names] if names else [],
        "gains": gain_table(data) if names else None,
        "tuning": tuning_table(data, "prediction_tuning"),
        "robust": robust_table(data) if names else None,
        "worst": worst_table(data) if names else None,
        "players": worst_players(data) if names else [],
        "rollout": rollout_table(data) if names and data.is_of_brief else None,
    }


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
    place=60,
    title="What context buys",
    lead=(
        "A density of the next frame given its past is scored on speakers never seen. Nulls know "
        "the past without local structure: marginals, AR(1), ridge, and ridge with a mixture of "
        "its residuals. Only the gain over the best null (blue below) is something that a memory "
        "could store."
    ),
    needs=(),
    build=build,
)
