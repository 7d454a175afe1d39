"""What the factorised path is worth beside the direct generator: shown, and never judged."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.corpus.split_parts import EVAL
from engram_audio.generation.cost_verdicts import STAGE
from engram_audio.generation.names import split_path
from engram_audio.generation.word import AS_MUCH_WORK, MEMORY
from engram_audio.verdicts import number
from engram_audio.verdicts.judge import Measured
from engram_audio.verdicts.row import VerdictRow, shown

SPLIT = "What does splitting state from innovation give at equal work?"
WHY = "a bound beside a density; it decides nothing"
ONE_FACTORIZER = (
    "The seeds are of the arms over one factoriser, whose own seed is not in the interval."
)
OF_RUN = "energy_distance"


def path_rows(
    name: str, generation: pd.DataFrame, gains: pd.DataFrame, health: pd.DataFrame
) -> Iterator[VerdictRow]:
    """Yield a row for each arm over z_dyn beside the same arm over frames, and for its memory.

    Args:
        name: The representation.
        generation: Its rows of `tables/generation.csv`, of one generator.
        gains: Likewise, of the longest training.
        health: Likewise.
    """
    for row in choose(gains, part=EVAL).to_dict("records"):
        arm, against = str(row["arm"]), str(row["against"])
        own, state = split_path(arm)
        other, others_state = split_path(against)
        is_same = other == own and not others_state
        is_memory = own == MEMORY and other == AS_MUCH_WORK and others_state == state
        if not state or not (is_same or is_memory):
            continue
        measured = Measured(
            *(number.as_float(row[f"gain_nats{end}"]) for end in ("", "_low", "_high"))
        )
        sentence = (
            f"{arm} over {against}: {number.interval(*measured)} nats/frame by a bound, with "
            f"{number.fixed(row['work_share'], 2)} of its work, {int(row['num_seeds'])} seeds."
        )
        told = [
            sentence,
            ONE_FACTORIZER,
            *_of_runs(health, arm, against),
            *_of_rate(generation, arm),
        ]
        yield VerdictRow(
            STAGE, SPLIT, name, f"{arm} over {against}", shown(WHY), " ".join(told), measured,
            unit="nats/frame",
        )  # fmt: skip


def _of_runs(health: pd.DataFrame, arm: str, against: str) -> list[str]:
    """Return how far free runs lie from data, less true stretches, medians over seeds."""
    found = [_excess(health, one) for one in (arm, against)]
    if not all(np.isfinite(found)):
        return []
    own, other = (number.fixed(value) for value in found)
    return [f"Free runs lie {own} SD from data beyond true stretches, against {other}."]


def _excess(health: pd.DataFrame, arm: str) -> float:
    own = choose(health, arm=arm)
    own = own.loc[own["horizon_frames"] == health["horizon_frames"].max()]
    excess = (own[OF_RUN] - own[f"{OF_RUN}_true"]).to_numpy(float)
    return float(np.median(excess)) if len(excess) else np.nan


def _of_rate(generation: pd.DataFrame, arm: str) -> list[str]:
    rows = choose(generation, arm=arm)
    rates = rows[["innovation_bits_per_s", "state_bits_per_s"]].to_numpy(float).mean(axis=0)
    if not np.isfinite(rates).all():
        return []
    whole, state = (number.fixed(value, 0) for value in rates)
    return [f"Innovation {whole} bits/s, {state} of them of z_dyn."]
