"""What the heads gain over the best null, as the structure stage's verdict asks it."""

import math
from collections.abc import Sequence

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.prediction.cells import cells_of
from engram_audio.structure.evidence import HeadsGain
from engram_audio.structure.gate_row import Measured

EVENT = "delta"  # what keys predict
ENDS = ("", "_low", "_high")
FREEDOM = "gain_seeds_freedom"


def heads_gains(
    prediction: pd.DataFrame, representation: str, lag_frames: int, slices: Sequence[str]
) -> dict[str, HeadsGain] | None:
    """Return the gain of the chosen head on each slice; None where no head was run at the lag.

    Args:
        prediction: `tables/prediction.csv`.
        representation: Whose heads.
        lag_frames: Registered lag.
        slices: Judged slices; one that was not scored has no entry.
    """
    cells = cells_of(prediction, representation)
    head = cells.chosen_head(lag_frames, EVENT)
    if head is None:
        return None
    own = choose(
        prediction,
        representation=representation, lag_frames=lag_frames, target=EVENT, model=head, part="eval",
    )  # fmt: skip
    own = choose(own, seed=cells.seed)
    found = {
        str(row["slice"]): _gain({str(k): v for k, v in row.items()}, head)
        for row in own.to_dict("records")
    }
    return {name: gain for name, gain in found.items() if name in slices}


def _gain(row: dict[str, object], head: str) -> HeadsGain:
    """Return the mean gain over training seeds, with the interval that the table publishes."""
    gain = Measured(*(_number(row.get(f"gain_seeds_nats{end}")) for end in ENDS))
    num_seeds = int(_number(row.get("num_seeds")))
    over = (
        "heads: one seed" if num_seeds == 1 else f"{num_seeds} seeds, over {row['interval_over']}"
    )
    words = f"{head} ({over}; best null {row['best_null']})"
    information, df = (_number(row.get(name)) for name in ("information_nats", FREEDOM))
    return HeadsGain(gain, information, words, df)


def _number(cell: object) -> float:
    return math.nan if cell is None else float(str(cell))
