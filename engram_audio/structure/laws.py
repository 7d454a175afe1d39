"""From the published table of keys by their laws to what the gate asks of them."""

import pandas as pd

from engram_audio.artifacts.columns import choose
from engram_audio.keys.law_scores import KEY
from engram_audio.structure.evidence import LawGain
from engram_audio.structure.gate_row import Measured


def law_gains(table: pd.DataFrame, lag_frames: int) -> dict[str, dict[str, LawGain]]:
    """Return what the best law of a key tells of the next step beside the linear base.

    The key is chosen where choices are made, and its nats are those of eval speakers.

    Args:
        table: `tables/keys.csv`.
        lag_frames: The registered lag.

    Returns:
        By representation and slice.
    """
    rows = choose(table, kind=KEY, target="delta", base="linear", lag_frames=lag_frames)
    rows = rows.loc[rows["nats_choice"].notna() & rows["nats_low"].notna()]
    found: dict[str, dict[str, LawGain]] = {}
    for (name, place), own in rows.groupby(["representation", "slice"], sort=False):
        best = own.loc[own["nats_choice"].idxmax()]
        gain = Measured(float(best["nats"]), float(best["nats_low"]), float(best["nats_high"]))
        highest = float(own["nats_high"].max())
        law = LawGain(str(best["key"]), str(best["chosen_on"]), gain, highest, len(own))
        found.setdefault(str(name), {})[str(place)] = law
    return found
