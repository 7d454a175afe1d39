"""Synthetic factorizer tables for tests, made by the stage's own table code.

The mean scores are chosen, not measured, so that the answers are known: see RUNS and DIRECT.
"""

from typing import Any

import numpy as np
import pandas as pd

from engram_audio.factorizer.columns import FACTORIZER_STATES
from engram_audio.factorizer.tables import Direct, Run, factorizer_table, sweep_table
from engram_audio.report.data import ReportData
from tests.report_tables import BASES
from tests.report_verdicts import judged
from tests.unit.factorizer_material import settings

BASE = BASES[0]
SLICES = ("all", "medial")
NUM_FRAMES = 500
DIRECT = {"student_t_mixture": 88.0, "ridge": 89.0, "gaussian_marginal_position": 95.0}
HEALTH = {
    "state_effective_rank": 3.5, "state_sd": 1.0, "state_movement": 0.4, "dynamics_sd": 0.6,
    "state_use_nats": 3.0,
    "observation_sd": 0.3, "active_innovation_dims": 8.0, "price": 1.0,
}  # fmt: skip
# name: (settings, sweep, collapse, bound, state nats, innovation nats, error)
RUNS: dict[str, tuple[dict[str, Any], str, str, float, float, float, float]] = {
    "charged": ({}, "", "", 88.5, 5.0, 3.0, 0.2),
    "first_experiment": (
        {"state__rate": "free"}, "", "z_rec is redundant: drawn from its prior it costs 1 % of the "
        "error", 120.0, 0.0, 0.01, 0.03,
    ),
    "grid_d2_r1": ({"loss__kl__mode": "target"}, "grid", "", 91.0, 0.5, 0.5, 0.6),
    "grid_d4_r8": ({"loss__kl__mode": "target"}, "grid", "", 89.0, 4.0, 4.0, 0.25),
}  # fmt: skip


def speaker_sums(values: dict[str, float]) -> list[dict[str, Any]]:
    """One row per part, slice and speaker; means are `values` plus noise between speakers."""
    generator = np.random.default_rng(3)
    rows = []
    for part, count in (("train", 3), ("val", 3), ("eval", 10)):
        for name in SLICES:
            for speaker in range(count):
                shift = generator.normal(scale=0.1)
                rows.append(
                    {
                        "part": part, "slice": name, "speaker_id": f"{part}-{speaker}",
                        "num_frames": NUM_FRAMES,
                        **{
                            key: NUM_FRAMES * (value + (shift if "nll" in key else 0.0))
                            for key, value in values.items()
                        },
                    }
                )  # fmt: skip
    return rows


def direct_predictors() -> Direct:
    """The prediction stage's sums."""
    rows = [
        {**row, "model": name, "lag_frames": 0 if "marginal" in name else 1, "event": "position"}
        for name, level in DIRECT.items()
        for row in speaker_sums({"nll": level})
    ]
    return Direct(BASE, 12.5, 32, 8, ["student_t_mixture"], pd.DataFrame(rows))


def run_of(name: str) -> Run:
    """A trained factoriser with known means."""
    changes, sweep, collapse, bound, state, innovation, error = RUNS[name]
    values = {
        "nll": bound, "elbo_nll": np.nan if name == "first_experiment" else bound + 1.0,
        "state_nats": state, "innovation_nats": innovation, "sst": 1.0, "sse_posterior": error,
        "sse_prior": 1.5 * error, "sse_shuffled_rec": error + 0.3, "sse_shuffled_dyn": error + 0.4,
        "sse_state_only": 1.2 * error, "sse_predicted": 0.7,
    }  # fmt: skip
    scores = pd.DataFrame(speaker_sums(values))
    return Run(BASE, name, sweep, 0, settings(**changes), HEALTH, collapse, scores)


def published() -> pd.DataFrame:
    """`factorizer.csv` of the known means."""
    runs = [run_of(name) for name in RUNS]
    return factorizer_table(runs, {BASE: direct_predictors()}, SLICES, 0.95)


def states() -> pd.DataFrame:
    """`factorizer_states.csv`, two metrics."""
    rows = [
        ("mel_pca_state", BASE, "lag-one autocorrelation, median", "", 1, 0.4, np.nan, np.nan, 0.0,
         "white noise", 0.7, np.nan, np.nan, 0.0),
        ("mel_pca_state", BASE, "ridge cosine of delta", "", 1, 0.70, 0.69, 0.71, 0.707,
         "white noise", 0.61, 0.60, 0.62, 0.707),
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=FACTORIZER_STATES.names())


def with_factorizer(data: ReportData) -> ReportData:
    """Return the report's data with a factorised representation."""
    table = published()
    tables = {
        "factorizer": table, "factorizer_sweep": sweep_table(table), "factorizer_states": states(),
    }  # fmt: skip
    return judged(data._replace(tables={**data.tables, **tables}))
