"""Synthetic tables of keys by their laws, made by the stage's own table code.

The nats are chosen, not measured, so that the answers are known.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from engram_audio.keys.direction_tables import DirectionRun, directions_table
from engram_audio.keys.directions import EVERY, OBSERVED, REVERSION, SHUFFLED, UNIFORM
from engram_audio.keys.law_tables import LawRun, keys_table
from engram_audio.report.data import ReportData
from tests.report_tables import BASES
from tests.report_verdicts import judged

BASE = BASES[0]
LEARNED, PLAIN = "learned.raw.laws_64", "pca.raw.kmeans_64"
NATS = {
    "bank": 3.0, "predictor": 2.0, LEARNED: 1.4, "learned.raw.laws_16": 1.1, PLAIN: 0.6,
    "pca.raw.kmeans_16": 0.4, "permuted.64": 0.0, "target_oracle.64": 2.5,
}  # fmt: skip
KINDS = {"bank": "bank", "predictor": "predictor", "permuted.64": "permuted",
         "target_oracle.64": "oracle"}  # fmt: skip
NUM_FRAMES = 500


def law_run(
    nats: Mapping[str, float] = NATS, representation: str = BASE, base: str = "none",
    spread: float = 0.02, val_excess: float = 0.05,
) -> LawRun:  # fmt: skip
    """Scores with known means: speakers differ by `spread`, val is better by `val_excess`."""
    generator = np.random.default_rng(3)
    rows, facts = [], []
    for key, mean in nats.items():
        kind = KINDS.get(key, "key")
        for part, count in (("train", 4), ("val", 4), ("select", 4), ("eval", 10)):
            for speaker in range(count):
                own = mean * (1 + (val_excess if part in ("train", "val") else 0.0))
                own += generator.normal(scale=spread) if mean else 0.0
                rows.append({"key": key, "kind": kind, "slice": "all", "part": part,
                             "speaker_id": f"{part}-{speaker}", "num_frames": NUM_FRAMES,
                             "nats": NUM_FRAMES * own})  # fmt: skip
        if kind not in ("bank", "predictor"):
            size = int(key.rpartition("_" if kind == "key" else ".")[2])
            facts.append({"key": key, "kind": kind, "slice": "all", "num_codes": size,
                          "prior_strength": 10.0, "codes_used": size,
                          "entropy_nats": np.log(size) - 0.1, "speaker_information_nats": 0.02,
                          "flip_rate": 0.1, "num_values": 1000, "agreement": np.nan})  # fmt: skip
    return LawRun(representation, 0, "delta", base, 2, pd.DataFrame(rows), pd.DataFrame(facts))


def surrogate(nats: Mapping[str, float] = NATS, share: float = 0.1) -> LawRun:
    """The VAR twin, which tells a share of it."""
    return law_run({key: share * mean for key, mean in nats.items()}, f"{BASE}--var")


def published(*runs: LawRun) -> pd.DataFrame:
    """`keys.csv` of the known means."""
    return keys_table(runs or (law_run(), surrogate()), 0.5, 0.95)


def with_laws(data: ReportData) -> ReportData:
    """Return the report's data with keys by their laws, alone and beside the linear base."""
    tables = {
        "keys": published(law_run(), surrogate(), law_run(base="linear")),
        "key_directions": directions_table([direction_run()], 0.95),
    }
    return judged(data._replace(tables={**data.tables, **tables}))


def direction_run() -> DirectionRun:
    """Angles and nats of every comparison, by chance."""
    generator = np.random.default_rng(4)
    rows = [
        {"key": PLAIN, "num_codes": 64, "num_directions": 16, "case": case, "part": "eval",
         "speaker_id": f"eval-{speaker}", "num_frames": NUM_FRAMES,
         "angle": NUM_FRAMES * generator.uniform(40, 60),
         "nats": NUM_FRAMES * generator.uniform(0, 0.5)}
        for case in (OBSERVED, SHUFFLED, EVERY, UNIFORM, REVERSION)
        for speaker in range(10)
    ]  # fmt: skip
    return DirectionRun(BASE, 0, 2, pd.DataFrame(rows))
