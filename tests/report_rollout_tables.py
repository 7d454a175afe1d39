"""Synthetic rollout tables for tests, made by the stage's own table code.

The mean scores are chosen, not measured, so that the answers are known: see RUNS.
"""

from typing import Any

import numpy as np
import pandas as pd
from pydantic import TypeAdapter

from engram_audio.report.data import ReportData
from engram_audio.rollout.ceiling import Run
from engram_audio.rollout.measures import DETAILS, STATISTICS, excess_name, true_name
from engram_audio.rollout.method_config import AnyMethod, MethodSection
from engram_audio.rollout.tables import rollout_table, sweep_table
from tests.report_tables import BASES
from tests.report_verdicts import BARS_SECTION, judged
from tests.unit.rollout_material import METHODS, rollout_section

BASE = BASES[0]
SETTINGS = rollout_section()
HORIZONS = range(1, 9)
CLIMATE = 2.0
Health = dict[str, float]
RATIOS = ("spread_ratio", "std_ratio", "step_ratio")
HEALTHY: Health = {
    **dict.fromkeys(STATISTICS, 0.001), **dict.fromkeys(map(true_name, STATISTICS), 0.001),
    **dict.fromkeys(RATIOS, 1.0), **dict.fromkeys(map(true_name, RATIOS), 1.0),
    **dict.fromkeys(DETAILS, 1.0), "num_stretches": 40,
}  # fmt: skip
FROZEN: Health = {**HEALTHY, "spread_ratio": 0.02, "std_ratio": 0.02, "step_ratio": 0.01}
NUM_SPEAKERS = 10
GUARD = {"kind": "nearest", "num_frames": 64, "num_neighbours": 1, "quantile": 0.99,
         "num_attempts": 4}  # fmt: skip
# name: (method, changes, sweep, dnll at every horizon, energy score, blown, mean run)
RUNS: dict[str, tuple[str, dict[str, Any], str, float, float, float, Health]] = {
    "one_step": ("one_step", {}, "", -0.98, 1.01, 0.0, FROZEN),
    "wild": ("one_step", {}, "", 40.0, 9.0, 0.5, HEALTHY),
    "guarded": ("one_step", {"guard": GUARD}, "", -0.6, 1.2, 0.0, HEALTHY),
    "earlier_pure": ("k_step", {"teacher_weight": 0.0}, "", -0.97, 1.01, 0.0, FROZEN),
    "belief": ("belief", {}, "", -1.0, 1.0, 0.0, FROZEN),
    "direct": ("direct", {}, "", -0.8, 1.0, 0.0, FROZEN),
    "grid_k4_t0_s0": ("k_step", {}, "grid", -0.95, 1.02, 0.0, FROZEN),
    "grid_k8_t0_s0": ("k_step", {}, "grid", -0.9, 1.05, 0.0, FROZEN),
}  # fmt: skip


def section_of(kind: str, changes: dict[str, Any]) -> AnyMethod:
    document = {**METHODS[kind], **changes}
    return TypeAdapter(MethodSection).validate_python(document, strict=False)


def score_rows(mode: str, inject: int, values: dict[str, float], horizons: Any) -> pd.DataFrame:
    """Sums of ten speakers on val and eval; means are `values` with noise between speakers."""
    generator = np.random.default_rng(3)
    rows = []
    for part in ("val", "eval"):
        for speaker in range(NUM_SPEAKERS):
            shift = 1 + 0.005 * generator.normal()
            for horizon in horizons:
                count = 6.0
                rows.append(
                    {
                        "mode": mode, "inject_frames": inject, "speaker_id": f"{part}-{speaker}",
                        "horizon_frames": horizon, "part": part, "num_starts": count,
                        **{name: count * shift * value for name, value in values.items()},
                    }
                )  # fmt: skip
    return pd.DataFrame(rows)


def health_rows(
    mode: str, inject: int, health: Health, diverged: float, frozen: float
) -> pd.DataFrame:
    """Shares that come with the last half of the horizon."""
    late = np.array(HORIZONS) > 4
    table = pd.DataFrame({
        "mode": mode, "inject_frames": inject, "horizon_frames": list(HORIZONS),
        "diverged_share": diverged * late, "diverged_share_true": 0.0,
        "frozen_share": frozen * late, "frozen_share_true": 0.0,
        "surviving_share": 1 - (diverged + frozen) * late, "num_paths": 240,
        "dnll_median": -1.0, "dnll_highest": 3.0, "num_not_finite": 0,
        "num_diverged": (240 * diverged * late).astype(int), "guard_redrawn": 0.1,
        "guard_moved": 0.01,
    })  # fmt: skip
    return table.assign(**health | {"diverged_late": diverged, "frozen_late": frozen})


def difference_rows(mode: str, inject: int, error: float = 0.001) -> pd.DataFrame:
    """Ten equal speakers, each excess of a standard error of about `error`."""
    signs = np.resize([1.0, -1.0], NUM_SPEAKERS)
    falls = dict.fromkeys(map(excess_name, STATISTICS), error * signs / NUM_SPEAKERS**0.5)
    names = [f"eval-{number}" for number in range(NUM_SPEAKERS)]
    labels = {"mode": mode, "inject_frames": inject, "share": 1 / NUM_SPEAKERS}
    return pd.DataFrame({"speaker_id": names, **labels, **falls})


def runs(representation: str = BASE) -> list[Run]:
    """Every planted method on one representation."""
    found = []
    for name, (kind, changes, sweep, dnll, energy, diverged, mean_health) in RUNS.items():
        settings = section_of(kind, changes)
        values = {
            "dnll_delta": dnll, "dnll_position": dnll, "below_range": 0.05, "above_range": 0.05,
            "energy_score": energy, "energy_climate": CLIMATE,
        }  # fmt: skip
        if settings.kind in ("belief", "direct"):
            horizons = HORIZONS if settings.kind == "belief" else (1, 2, 3, 4, 8)
            scores = score_rows("forecast", 0, values, horizons)
            health = health_rows("forecast", 0, FROZEN, 0.0, 1.0)
            health = health if settings.kind == "belief" else pd.DataFrame()
        else:
            scores = pd.concat([
                score_rows("sampled", 0, values, HORIZONS),
                score_rows("sampled", 2, values, HORIZONS),
                score_rows("mean", 0, {"first_experiment_dnll": 15.0}, HORIZONS),
            ])  # fmt: skip
            is_frozen = float(mean_health["std_ratio"] < 0.1)
            health = pd.concat([
                health_rows("sampled", 0, HEALTHY, diverged, 0.0),
                health_rows("sampled", 2, HEALTHY, diverged, 0.0),
                health_rows("mean", 0, mean_health, 0.0, is_frozen),
            ])  # fmt: skip
        cells = [("sampled", 0), ("sampled", 2), ("mean", 0), ("forecast", 0)]
        differences = pd.concat([difference_rows(*cell) for cell in cells])
        found.append(Run(representation, name, sweep, 0, settings, scores, health, differences))
    return found


def with_rollout(data: ReportData) -> ReportData:
    """The page's data with the rollout stage's tables and verdicts."""
    table = rollout_table(runs(), SETTINGS, 0.95)
    tables = {
        **data.tables, "rollout": table,
        "rollout_sweep": sweep_table(runs(), table, SETTINGS, BARS_SECTION),
    }  # fmt: skip
    return judged(data._replace(tables=tables))
