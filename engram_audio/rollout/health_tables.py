"""The health of a run as tables: shares by horizon, and what each speaker adds to the excesses."""

from typing import NamedTuple

import numpy as np
import pandas as pd

from engram_audio.rollout.health import detector_of, survival, true_survival
from engram_audio.rollout.late import Measured, measure_health
from engram_audio.rollout.measures import (
    DETAILS_OF_MOTION,
    OF_MOTION,
    STATISTICS,
    excess_name,
    true_name,
)
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.setup import ScoringSetup
from engram_audio.rollout.simulate import Run


class HealthTables(NamedTuple):
    """See `evaluation.Scored`."""

    health: pd.DataFrame
    differences: pd.DataFrame


def health_tables(
    run: Run,
    starts: Starts,
    others: Starts,
    setup: ScoringSetup,
    spread: pd.DataFrame,
    mode: str,
    inject: int,
) -> HealthTables:
    """Return the shares of every horizon with the health of the whole run, and its differences."""
    labels = {"mode": mode, "inject_frames": inject}
    measured = measure_health(run, starts, others, setup, setup.generator(4))
    whole = {name: float(values[0]) for name, values in measured.run.items()}
    whole |= {true_name(name): float(values[0]) for name, values in measured.true.items()}
    whole |= {**measured.details, "num_stretches": measured.num_stretches}
    health = _shares(run, starts, setup).assign(**whole)
    health = health.merge(spread, on="horizon_frames", how="left")
    return HealthTables(health.assign(**labels), differences(measured).assign(**labels))


def _shares(run: Run, starts: Starts, setup: ScoringSetup) -> pd.DataFrame:
    found = survival(run, detector_of(starts, setup).finds(run))
    true = true_survival(starts, setup)
    num_horizons = run.states.shape[2]
    return pd.DataFrame({
        "horizon_frames": np.arange(1, num_horizons + 1),
        "diverged_share": found.diverged.cpu().numpy(),
        "diverged_share_true": true.diverged[:num_horizons].cpu().numpy(),
        "frozen_share": found.frozen.cpu().numpy(),
        "frozen_share_true": true.frozen[:num_horizons].cpu().numpy(),
        "surviving_share": found.surviving.cpu().numpy(),
        "num_paths": run.states.shape[0] * run.states.shape[1],
        "num_diverged": (~run.is_alive).sum((0, 1)).cpu().numpy(),
        "guard_redrawn": run.guarded[0],
        "guard_moved": run.guarded[1],
    })  # fmt: skip


def differences(measured: Measured) -> pd.DataFrame:
    """Return by how much each excess falls without each speaker, and the speaker's share."""
    falls = {}
    for name in STATISTICS:
        excess = measured.run[name] - measured.true[name]
        falls[excess_name(name)] = excess[0] - excess[1:]
    return pd.DataFrame({"speaker_id": measured.speakers, "share": measured.share, **falls})


def without_motion(tables: HealthTables) -> HealthTables:
    """Return the tables where true frames were put in: neighbours are of no one path."""
    health, found = tables.health.copy(), tables.differences.copy()
    health[[*OF_MOTION, *map(true_name, OF_MOTION), *DETAILS_OF_MOTION]] = np.nan
    found[[excess_name(name) for name in OF_MOTION]] = np.nan
    return HealthTables(health, found)
