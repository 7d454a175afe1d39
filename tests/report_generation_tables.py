"""Synthetic generation tables for tests of the page, made by the stage's own table code."""

from engram_audio.generation.audio_tables import audio_gains_table, audio_table
from engram_audio.generation.tables import (
    gains_table,
    generation_table,
    health_table,
    keys_table,
    latency_table,
    replay_table,
)
from engram_audio.report.data import ReportData
from tests.report_tables import BASES
from tests.report_verdicts import judged
from tests.unit.generation_audio_material import sounded
from tests.unit.generation_cost_tables import cost_tables
from tests.unit.generation_tables import evaluated

BASE = BASES[0]
# Mean NLL: content helps, and a network of the state does nearly half of it.
LEVELS = {"S": 29.0, "SM": 28.0, "F": 28.6, "P": 28.5, "SMx": 28.9, "SM1": 28.9, "SMm": 28.5,
          "SMf": 28.7, "SMn": 28.3, "SMnx": 28.9, "SMc": 28.1}  # fmt: skip


def with_generation(data: ReportData) -> ReportData:
    """Return the report's data with generators of the first representation."""
    found = [evaluated(LEVELS, name=BASE)]
    heard = sounded(0.1, 0.05, absent=("words",), representation=BASE)
    tables = {
        "generation": generation_table(found, 0.95),
        "generation_gains": gains_table(found, 0.95),
        "generation_health": health_table(found),
        "generation_keys": keys_table(found),
        "generation_replay": replay_table(found, 0.95),
        "generation_latency": latency_table(found),
        **cost_tables(BASE, "one_frame"),
        "generation_audio": audio_table([heard], 0.95),
        "generation_audio_gains": audio_gains_table([heard], 0.95),
    }
    return judged(data._replace(tables={**data.tables, **tables}))
