"""Tables of how generators sound, for the section of the generation stage."""

import pandas as pd

from engram_audio.generation.audio_columns import GENERATION_AUDIO, GENERATION_AUDIO_GAINS
from engram_audio.report.data import ReportData
from engram_audio.report.table_view import TableView, make_table, shown
from engram_audio.verdicts import number

GAINS = (
    *shown(GENERATION_AUDIO_GAINS, "representation", "generator", "arm", "against", "condition",
           "scope", "score"),
    *shown(GENERATION_AUDIO_GAINS, "gain", "resolution", "certain_loss", form=number.fixed),
    *shown(GENERATION_AUDIO_GAINS, "word", "reason", "num_utterances", "num_speakers",
           "num_seeds"),
)  # fmt: skip
SCORES = (
    *shown(GENERATION_AUDIO, "representation", "generator", "arm", "condition", "scope", "score"),
    *shown(GENERATION_AUDIO, "value", "original", "ceiling", "floor", "resolution", "normalised",
           form=number.fixed),
    *shown(GENERATION_AUDIO, "num_utterances", "num_speakers", "num_seeds", "note"),
)  # fmt: skip


def audio_tables(data: ReportData) -> list[TableView]:
    """Return what is told apart by ear and every score; nothing where nothing was decoded."""
    scores, gains = data.table("generation_audio"), data.table("generation_audio_gains")
    if scores.empty:
        return []
    most = data.settings.maximum_table_rows // 4
    is_made = _is_named(scores, "arm")
    found = [
        make_table(
            "generation-audio", "How it sounds: arms between floor and round trip", scores, SCORES,
            maximum_rows=most, source="tables/generation_audio.csv", first=is_made,
            more="True speech, round trips and floors",
        )
    ]  # fmt: skip
    if not gains.empty:
        found.insert(0, make_table(
            "generation-audio-gains", "How it sounds: SM beside F and S, and what is read",
            gains, GAINS, maximum_rows=most, source="tables/generation_audio_gains.csv",
        ))  # fmt: skip
    return found


def audio_note(data: ReportData) -> str:
    """Return what the page says of evaluators that are not installed; "" where all are."""
    scores = data.table("generation_audio")
    if scores.empty:
        return ""
    absent = sorted({str(name) for name in scores.loc[_is_named(scores, "note"), "score"]})
    if not absent:
        return ""
    return f"Not scored, since their evaluator is not installed (make audio): {', '.join(absent)}."


def _is_named(rows: pd.DataFrame, column: str) -> pd.Series:
    """Return which cells of a text column hold something; a published empty one reads as NaN."""
    return pd.Series(rows[column].fillna("") != "", index=rows.index)
