"""Synthetic prediction tables for the report's tests, made by the stage's own table code.

The mean scores are chosen, not measured, so that the answer is known: see LEVELS.
"""

from typing import Any

import numpy as np
import pandas as pd

from engram_audio.prediction.columns import (
    PREDICTION_CALIBRATION,
    PREDICTION_ROLLOUT,
    PREDICTION_TUNING,
)
from engram_audio.prediction.tables import Inputs, Settings, prediction_table, worst_table
from engram_audio.report.data import ReportData
from tests.report_tables import BASES, declared, tuned_points
from tests.report_verdicts import judged

BASE, SURROGATE = BASES[0], f"{BASES[0]}--shuffled"
HEADS = ("gaussian_mixture", "student_t_mixture")
SLICES = ("all", "medial")
NUM_DIMS = 32
# Mean NLL in nats/frame: (model, lag, event). Lag 0 is a law without context, scored once.
LEVELS = {
    ("gaussian_marginal_delta", 0, "delta"): 100.0,
    ("gaussian_marginal_position", 0, "delta"): 92.0,
    ("student_t_mixture_marginal_delta", 0, "delta"): 97.0,
    ("student_t_mixture_marginal_position", 0, "delta"): 88.0,
    ("gaussian_marginal_delta", 0, "position"): 100.0,
    ("gaussian_marginal_position", 0, "position"): 92.0,
    ("student_t_mixture_marginal_delta", 0, "position"): 97.0,
    ("student_t_mixture_marginal_position", 0, "position"): 88.0,
    ("ridge", 1, "delta"): 86.0,
    ("ridge", 1, "position"): 86.0,
    ("ridge", 2, "delta"): 96.0,
    ("ridge", 2, "position"): 87.5,
    ("gaussian_mixture", 1, "delta"): 84.5,
    ("gaussian_mixture", 1, "position"): 84.5,
    ("gaussian_mixture", 2, "delta"): 96.0,
    ("gaussian_mixture", 2, "position"): 87.6,
    ("student_t_mixture", 1, "delta"): 83.0,
    ("student_t_mixture", 1, "position"): 83.0,
    ("student_t_mixture", 2, "delta"): 97.5,
    ("student_t_mixture", 2, "position"): 87.5,
}
NUM_FRAMES, NUM_SAMPLED = 600, 40
SETTINGS = Settings((1, 2), ("delta", "position"), SLICES, 0.95, 0.01, (0.05, 0.25, 0.75, 0.95))


def speaker_row(generator: np.random.Generator, level: float) -> dict[str, float]:
    """Return one speaker's sums of every score."""
    means = {
        "cosine_mean": 0.5, "log_magnitude": 1.0, "log_magnitude_squared": 1.2,
        "log_magnitude_error_mean": 0.6, "sse_all": 0.8, "sst_all": 1.0,
    }  # fmt: skip
    sampled = {
        "energy_score": 3.0, "cosine_sample": 0.3, "cosine_best": 0.6,
        "sampled_log_magnitude": 1.0, "sampled_log_magnitude_squared": 1.2,
        "log_magnitude_error_sample": 0.15, "coverage_50_per_dimension": 0.48,
        "coverage_90_per_dimension": 0.88, "coverage_50_density": 0.45,
        "coverage_90_density": 0.85, "below_range_per_dimension": 0.07,
        "above_range_per_dimension": 0.05, "below_range_density": 0.09,
        "above_range_density": 0.06, "info_nce_bits_utterance": 1.0,
        "num_info_nce_utterance": 1.0, "info_nce_bits_speaker": 0.9, "num_info_nce_speaker": 1.0,
    }  # fmt: skip
    noise = generator.normal(scale=0.2)
    return {
        "num_frames": NUM_FRAMES, "nll": NUM_FRAMES * (level + noise),
        "noise_nats": NUM_FRAMES * 0.01, "num_mean": NUM_FRAMES,
        **{name: NUM_FRAMES * value for name, value in means.items()},
        "num_sampled": NUM_SAMPLED,
        **{name: NUM_SAMPLED * value for name, value in sampled.items()},
    }  # fmt: skip


def inputs_of(representation: str, levels: dict[tuple[str, int, str], float]) -> Inputs:
    """Return what the table code reads of one representation."""
    generator = np.random.default_rng([7, len(representation)])
    scores, frames, worst = [], [], []
    for (model, lag, event), level in levels.items():
        for part, num_speakers in (("train", 3), ("val", 3), ("eval", 10)):
            labels: dict[str, Any] = {
                "model": model, "lag_frames": lag, "event": event, "part": part,
            }  # fmt: skip
            scores += [
                {**labels, "slice": name, "speaker_id": f"{part}-{speaker}",
                 **speaker_row(generator, level)}
                for name in SLICES
                for speaker in range(num_speakers)
            ]  # fmt: skip
            values = level + generator.normal(size=50)
            masks = {"in_all": True, "in_medial": np.arange(50) % 2 == 0}
            frames.append(pd.DataFrame({**labels, **masks, "nll": values}))
            worst.append(
                pd.DataFrame(
                    {
                        **labels, "utterance_id": ["v01-0003", "v09-0001"], "speaker_id": "v01",
                        "frame": [5, 60], "delta_norm": [9.0, 8.0], "slices": "medial",
                        "nll": [level + 40.0, level + 30.0],
                    }
                )
            )  # fmt: skip
    return Inputs(
        representation, 0, 12.5, NUM_DIMS, HEADS,
        pd.DataFrame(scores), pd.concat(frames, ignore_index=True),
        pd.concat(worst, ignore_index=True),
    )  # fmt: skip


def surrogate_levels() -> dict[tuple[str, int, str], float]:
    """Shuffled frames: ridge knows the mean reversion only, heads know nothing more."""
    levels = {key: level for key, level in LEVELS.items() if key[1] == 0}
    for lag, event in ((1, "delta"), (1, "position"), (2, "delta"), (2, "position")):
        best = 97.0 if (lag, event) == (2, "delta") else 88.0
        levels |= {("ridge", lag, event): best, ("gaussian_mixture", lag, event): best}
    return levels


def calibration_table() -> pd.DataFrame:
    """Return flat PIT histograms of all models."""
    return pd.DataFrame(
        {"kind": kind, "bin": bin_number, "count": 40.0, "model": model, "lag_frames": lag,
         "target": event, "part": "eval", "representation": BASE, "seed": 0}
        for model, lag, event in LEVELS
        for kind in ("per_dimension", "density")
        for bin_number in range(10)
    )  # fmt: skip


def rollout_table() -> pd.DataFrame:
    """Return a rollout that stops moving at lag 1 and diverges at lag 2."""
    return pd.DataFrame(
        {"horizon_frames": step, "num_paths": 64, "num_alive": 64 if lag == 1 else 64 - 4 * step,
         "dnll_mean": 1.0 * step, "dnll_median": None if step == 16 else 0.5 * step,
         "state_rms": 0.5, "state_error": 1.0, "step_ratio": 0.1, "model": head,
         "lag_frames": lag, "target": event, "representation": BASE, "seed": 0}
        for head in HEADS
        for lag in (1, 2)
        for event in ("delta", "position")
        for step in range(1, 17)
    )  # fmt: skip


TUNED_HEAD = {"representation": BASE, "lag_frames": 1, "head": "gaussian_mixture", "seed": 0}


def with_prediction(data: ReportData, surrogate: bool = True) -> ReportData:
    """Return the report's data with the tables of the prediction stage."""
    groups = [inputs_of(BASE, LEVELS)]
    groups += [inputs_of(SURROGATE, surrogate_levels())] if surrogate else []
    tables = {
        "prediction": prediction_table(groups, SETTINGS),
        "worst_frames": worst_table(groups),
        "prediction_calibration": declared(PREDICTION_CALIBRATION, calibration_table()),
        "prediction_rollout": declared(PREDICTION_ROLLOUT, rollout_table()),
        "prediction_tuning": PREDICTION_TUNING.arrange(pd.DataFrame(tuned_points(TUNED_HEAD))),
    }
    return judged(data._replace(tables={**data.tables, **tables}))
