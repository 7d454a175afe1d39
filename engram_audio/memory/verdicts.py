"""What the memory stage answers: does lookup beat every required control?"""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from engram_audio.memory.names import CONTROL_WORDS, PROCEED, STOP, UNDECIDED
from engram_audio.stats.two_way import MINIMUM_SEEDS
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


def _judged(row: Mapping[Any, Any]) -> Judged:
    """Return the verdict; networks that were trained with fewer than three seeds decide nothing."""
    outcome, reason = OUTCOMES[str(row["verdict"])], str(row["reason"])
    num_seeds = int(row["num_seeds"])
    if outcome == judge.UNDECIDED or num_seeds >= MINIMUM_SEEDS:
        return Judged(outcome, reason)
    return Judged(judge.UNDECIDED, f"too few seeds: {num_seeds} of {MINIMUM_SEEDS}. {reason}")


def _answer(row: Mapping[Any, Any]) -> VerdictRow:
    control = str(row["deciding_control"])
    return VerdictRow(
        STAGE,
        WORDS[STAGE],
        str(row["representation"]),
        f"lag {int(row['lag_frames'])}",
        _judged(row),
        f"{row['memory']} on {row['predictor']}, the best of {int(row['num_memories_looked_at'])} "
        f"on {row['chosen_on']}, against {CONTROL_WORDS.get(control, 'every control')}.",
        Measured(*(float(row[f"gain_nats{end}"]) for end in ("", "_low", "_high"))),
        above(float(row["minimum_gain_nats"])),
        "nats/frame",
    )
