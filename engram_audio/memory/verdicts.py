"""What the memory stage answers: does lookup beat every required control?"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from engram_audio.memory.names import CONTROL_WORDS, PROCEED, STOP, UNDECIDED
from engram_audio.verdicts import judge
from engram_audio.verdicts.chain import WORDS
from engram_audio.verdicts.judge import Judged, Measured, above
from engram_audio.verdicts.row import VerdictRow

STAGE = "memory"
OUTCOMES = {PROCEED: judge.MET, STOP: judge.NOT_MET, UNDECIDED: judge.UNDECIDED}


def verdict_rows(verdicts: pd.DataFrame, representation: str) -> list[VerdictRow]:
    """Return one answer per representation and lag, the deciding representation first.

    Args:
        verdicts: `tables/memory_verdict.csv`.
        representation: The deciding one.
    """
    order = verdicts.assign(other=verdicts["representation"] != representation)
    order = order.sort_values(["other", "representation", "lag_frames"], kind="stable")
    return [_answer(row) for row in order.to_dict("records")]


def _answer(row: Mapping[Any, Any]) -> VerdictRow:
    control = str(row["deciding_control"])
    return VerdictRow(
        STAGE,
        WORDS[STAGE],
        str(row["representation"]),
        f"lag {int(row['lag_frames'])}",
        Judged(OUTCOMES[str(row["verdict"])], str(row["reason"])),
        f"{row['memory']} on {row['predictor']}, the best of {int(row['num_memories_looked_at'])} "
        f"on {row['chosen_on']}, against {CONTROL_WORDS.get(control, 'every control')}.",
        Measured(*(float(row[f"gain_nats{end}"]) for end in ("", "_low", "_high"))),
        above(float(row["minimum_gain_nats"])),
        "nats/frame",
    )
