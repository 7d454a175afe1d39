"""Planted sums of more sizes and of probes as their steps write them, and tables of them."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from engram_audio.generation.cost_tables import (
    Priced,
    Probed,
    cost_table,
    ladder_table,
    probes_table,
    share_table,
    wider_table,
)
from engram_audio.generation.names import LADDER, OF_ARM, SHARE, WIDER

NUM_SEEDS, NUM_SPEAKERS, NUM_FRAMES = 3, 8, 400
# kind, held, value, arm: mean NLL, work, numbers, numbers of rows
Level = tuple[float, float, float, float]
LEVELS: Mapping[tuple[str, str, float, str], Level] = {
    (OF_ARM, "", 0.0, "S"): (29.0, 100.0, 50.0, 0.0),
    (OF_ARM, "", 0.0, "F"): (28.8, 120.0, 60.0, 0.0),
    (OF_ARM, "", 0.0, "SM"): (28.4, 120.0, 80.0, 25.0),
    (LADDER, "", 2.0, "S"): (28.6, 240.0, 120.0, 0.0),
    (LADDER, "", 4.0, "S"): (28.2, 480.0, 240.0, 0.0),
    (SHARE, "num_resident", 0.0, "S"): (28.7, 160.0, 80.0, 0.0),
    (SHARE, "num_resident", 0.2, "SM"): (28.3, 130.0, 80.0, 16.0),
    (SHARE, "num_resident", 0.6, "SM"): (28.9, 70.0, 80.0, 48.0),
    (WIDER, "", 2.0, "S"): (28.1, 400.0, 200.0, 0.0),
    (WIDER, "", 2.0, "SM"): (27.8, 430.0, 230.0, 25.0),
    (WIDER, "", 2.0, "F"): (28.0, 430.0, 215.0, 0.0),
}


def priced(
    levels: Mapping[tuple[str, str, float, str], Level] = LEVELS, sd: float = 0.003,
    name: str = "mel_pca", generator: str = "one_frame", num_seeds: int = NUM_SEEDS,
) -> Priced:  # fmt: skip
    """Return sums of sizes with known mean NLL; energy is a tenth of it."""
    rng = np.random.default_rng(5)
    speakers = rng.normal(size=NUM_SPEAKERS)
    rows = []
    for (kind, held, value, arm), (nll, work, numbers, of_rows) in levels.items():
        for seed in range(num_seeds):
            shift = sd * rng.normal()
            for part in ("eval", "select") if kind == SHARE else ("eval",):
                for number, shared in enumerate(speakers):
                    total = NUM_FRAMES * (nll + shift + shared + sd * rng.normal())
                    rows.append({
                        "kind": kind, "held": held, "value": value, "arm": arm, "seed": seed,
                        "part": part, "speaker_id": f"{part}-{number}",
                        "num_frames": float(NUM_FRAMES), "nll": total,
                        "energy": total / 10 if kind in (OF_ARM, LADDER) else np.nan,
                        "flops_generated": work, "num_resident": numbers,
                        "num_rows_numbers": of_rows, "width": 32.0,
                    })  # fmt: skip
    return Priced(name, generator, pd.DataFrame(rows))


def probed(
    values: Mapping[tuple[str, str, str, str], float], name: str = "mel_pca",
    generator: str = "one_frame", sd: float = 0.001,
) -> Probed:  # fmt: skip
    """Return sums of probes: (arm, probe, condition, measure) and their ratio."""
    rng = np.random.default_rng(6)
    rows = [
        {"arm": arm, "seed": seed, "probe": probe, "condition": condition, "measure": measure,
         "speaker_id": f"s{number}", "numerator": value + sd * rng.normal(), "denominator": 1.0}
        for (arm, probe, condition, measure), value in values.items()
        for seed in range(NUM_SEEDS)
        for number in range(NUM_SPEAKERS)
    ]  # fmt: skip
    return Probed(name, generator, pd.DataFrame(rows))


PROBES = {
    ("SM", "clamp", "mean", "cost_share"): 0.01,
    ("SM", "flip", "net", "share_of_law"): 0.8,
    ("SMx", "flip", "net", "share_of_law"): 0.0,
    ("SM", "visits", "64+", "gain_nats"): 0.5,
    ("SM", "clamp", "own", "gain_nats"): 2.0,
    ("SM", "flip", "net", "half_difference_nats"): 19.2,
    ("SMx", "flip", "net", "half_difference_nats"): 0.0,
    ("law", "flip", "net", "half_difference_nats"): 8.07,
}


def cost_tables(
    name: str, generator: str, of: Priced | None = None, asked: Probed | None = None,
    delta: float = 0.02,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Return all tables of costs and probes of one generator."""
    sizes = of or priced(name=name, generator=generator)
    probes = asked or probed(PROBES, name=name, generator=generator)
    deltas = {(name, generator): delta}
    return {
        "generation_ladder": ladder_table([sizes], 0.95),
        "generation_cost": cost_table([sizes], deltas, 0.95),
        "generation_share": share_table([sizes], 0.95),
        "generation_wider": wider_table([sizes], deltas, 0.95),
        "generation_probes": probes_table([probes], 0.95),
    }
