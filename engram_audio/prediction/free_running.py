"""The first experiment's free-running score, kept for comparison: a mean rollout.

From true frames up to t - 1, follow the conditional mean for H steps, feeding it back, and score
the true delta under the context that was dreamt. What it ranks is known to be wrong (SCIENCE 8);
it is here so that the earlier numbers can be reproduced and explained. A path that leaves the data
is reported by the step at which it left, never as a blank or an infinity.

Shapes: P paths, H horizon, L frames of a path (history and future), D dimensions.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from engram_audio import windows
from engram_audio.densities.base import Batch
from engram_audio.densities.density import ConditionalDensity, event_offset
from engram_audio.latents.block import LatentBlock


class Paths(NamedTuple):
    """True stretches of frames, each with its history: frames [P, L, D], history = L - H frames."""

    frames: np.ndarray
    horizon: int


def collect_paths(
    block: LatentBlock, targets: np.ndarray, history: int, horizon: int, count: int
) -> np.ndarray:
    """Return up to `count` evenly spaced stretches whose H frames are all targets, [P, L, D]."""
    runs = windows.consecutive_runs(block.offsets, targets)
    starts = targets[targets + horizon <= np.repeat(runs.stop, runs.stop - runs.start)]
    if len(starts) > count:
        starts = starts[np.linspace(0, len(starts) - 1, count).round().astype(np.int64)]
    rows = starts[:, None] + np.arange(-history, horizon)
    return block.frames[rows]


@torch.no_grad()
def mean_rollout(
    model: ConditionalDensity,
    baseline: ConditionalDensity,
    paths: Paths,
    event: str,
    lag_frames: int,
    window_frames: int,
    scales: tuple[np.ndarray, np.ndarray],
    divergence_factor: float,
) -> pd.DataFrame:
    """Roll the mean out and score it at every step.

    Args:
        model: The head; sees contexts of dreamt frames.
        baseline: Marginal that dNLL is taken against, without context.
        paths: True frames.
        event: What the model's mean is turned into: delta is added to the dreamt x_{t-1}.
        lag_frames: k.
        window_frames: W.
        scales: Mean and SD of frames, each [D].
        divergence_factor: RMS in SD beyond which a path has diverged.

    Returns:
        One row per horizon: num_paths, num_alive, dnll_mean and dnll_median over paths alive (null
        where none is), state_rms (of the dreamt frame, in SD), state_error (RMS distance to the
        true frame, in SD), step_ratio (dreamt over true RMS step).
    """
    true = torch.from_numpy(np.asarray(paths.frames, dtype=np.float32))
    mean, sd = (torch.as_tensor(part, dtype=torch.float32) for part in scales)
    history = true.shape[1] - paths.horizon
    dreamt = true.clone()
    alive = torch.ones(len(true), dtype=torch.bool)
    rows = []
    for step in range(paths.horizon):
        t = history + step
        batch = _batch(true, dreamt, t, lag_frames, window_frames)
        log_density = model.log_prob(batch)
        reference = baseline.log_prob(_batch(true, true, t, lag_frames, window_frames))
        prediction = model.mean(batch)
        dream = batch._replace(previous=dreamt[:, t - 1])
        offset = event_offset(dream, model.target, event, lag_frames)
        value = prediction + offset
        dreamt[:, t] = value + (dreamt[:, t - 1] if event == "delta" else 0.0)
        state = ((dreamt[:, t] - mean) / sd).square().mean(1).sqrt()
        dnll = reference - log_density
        alive &= torch.isfinite(dnll) & torch.isfinite(state) & (state < divergence_factor)
        rows.append(_row(step + 1, true, dreamt, t, sd, state, dnll, alive))
    return pd.DataFrame(rows)


def _batch(true: torch.Tensor, seen: torch.Tensor, t: int, lag: int, window: int) -> Batch:
    return Batch(
        context=seen[:, t - lag - window + 1 : t - lag + 1],
        previous=true[:, t - 1],
        current=true[:, t],
        speaker_mean=true[:, 0],
    )


def _row(
    horizon: int,
    true: torch.Tensor,
    dreamt: torch.Tensor,
    t: int,
    sd: torch.Tensor,
    state: torch.Tensor,
    dnll: torch.Tensor,
    alive: torch.Tensor,
) -> dict[str, float | int | None]:
    count = int(alive.sum())
    row: dict[str, float | int | None] = {
        "horizon_frames": horizon, "num_paths": len(true), "num_alive": count,
        "dnll_mean": None, "dnll_median": None, "state_rms": None, "state_error": None,
        "step_ratio": None,
    }  # fmt: skip
    if count == 0:
        return row
    error = ((dreamt[alive, t] - true[alive, t]) / sd).square().mean().sqrt()
    step = (dreamt[alive, t] - dreamt[alive, t - 1]).square().mean().sqrt()
    true_step = (true[alive, t] - true[alive, t - 1]).square().mean().sqrt()
    row |= {
        "dnll_mean": float(dnll[alive].double().mean()),
        "dnll_median": float(dnll[alive].double().median()),
        "state_rms": float(state[alive].mean()),
        "state_error": float(error),
        "step_ratio": float(step / true_step.clamp_min(torch.finfo(true_step.dtype).tiny)),
    }
    return row
