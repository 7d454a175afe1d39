"""What is told of arms over z_dyn, and what their numbers leave out."""

import pandas as pd

from engram_audio.generation.columns import GENERATION
from engram_audio.generation.factorized.verdicts import path_rows
from engram_audio.verdicts.row import VerdictRow

PATHS = ("SM@states", "F@states")
ONE_FACTORIZER = (
    "2 seeds. The seeds are of the arms over one factoriser, whose own seed is not in the interval."
)


def told() -> list[VerdictRow]:
    """Each arm over z_dyn beside the direct one, its memory, and a direct gain."""
    pairs = [(one, one.split("@")[0]) for one in PATHS] + [PATHS, ("SM", "F")]
    gains = pd.DataFrame([
        {"part": "eval", "arm": arm, "against": against, "gain_nats": 0.1, "gain_nats_low": 0.05,
         "gain_nats_high": 0.15, "work_share": 0.99, "num_seeds": 2}
        for arm, against in pairs
    ])  # fmt: skip
    generation = pd.DataFrame({
        "arm": PATHS, "innovation_bits_per_s": 272.0, "state_bits_per_s": 46.0,
    })  # fmt: skip
    health = pd.DataFrame({
        "arm": [*PATHS, "SM", "F"], "horizon_frames": 8, "energy_distance": 0.03,
        "energy_distance_true": 0.02,
    })  # fmt: skip
    return list(path_rows("mel_pca", generation, gains, health))


def test_every_interval_over_z_dyn_says_whose_seeds_it_has():
    rows = told()
    assert [row.case for row in rows] == [
        "SM@states over SM", "F@states over F", "SM@states over F@states",
    ]  # fmt: skip
    for row in rows:
        assert ONE_FACTORIZER in row.sentence and "bits/s" in row.sentence


def test_train_work_says_what_of_the_factoriser_it_leaves_out():
    meaning = {column.name: column.meaning for column in GENERATION.columns}["f_train_flops"]
    assert "factoriser, one pass each. Rollouts and the number of passes are not" in meaning
