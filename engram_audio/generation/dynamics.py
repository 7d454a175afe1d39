"""How a memory is read: its gate along free runs, and what noise does to its keys.

Shapes: N starts, W frames of history, H steps, T frames of a sequence, D dimensions.
"""

from typing import Any

import pandas as pd
import torch
from torch import Tensor

from engram_audio.generation.density import as_step_density
from engram_audio.generation.model import Generator, Trace
from engram_audio.memory.ngrams import foreign_contexts
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.setup import ScoringSetup
from engram_audio.rollout.simulate import Settings, free_run

QUANTILES = {"gate_q05": 0.05, "gate_q25": 0.25, "gate_q50": 0.5, "gate_q75": 0.75,
             "gate_q95": 0.95}  # fmt: skip
RUN, TRUE, CORRUPT = "run", "true", "corrupt"
NO_STEP = -1


@torch.no_grad()
def keys_of(
    model: Generator, starts: Starts, setup: ScoringSetup, noise_sds: tuple[float, ...]
) -> pd.DataFrame:
    """Return one row per probe and step or noise, of a generator whose memory reads codes."""
    model.eval()
    steps, settings = setup.settings.scored_horizons_frames, setup.settings
    how = Settings(settings.horizon_frames, True, None, settings.batch_paths)
    run = free_run(as_step_density(model), starts, how, setup.limits, 1, setup.generator(7))
    paths = {
        RUN: (torch.cat([starts.history, run.states[0]], 1), run.is_alive[0]),
        TRUE: (starts.frames(), starts.is_true()),
    }
    rows = [
        {"probe": probe, "step_frames": step, **_gates_at(trace, starts, is_read, step)}
        for probe, (frames, is_read) in paths.items()
        for trace in [model.trace(frames, foreign(model, frames))]
        for step in steps
    ]
    rows += [_corrupted(model, starts, setup, sd, place) for place, sd in enumerate(noise_sds)]
    return pd.DataFrame(rows)


def foreign(model: Generator, frames: Tensor) -> Tensor | None:
    """Return the codes of other sequences of a batch, for an arm that reads those, [N, T]."""
    return model.codes(foreign_contexts(frames)) if model.is_foreign else None


def _gates_at(trace: Trace, starts: Starts, is_read: Tensor, step: int) -> dict[str, float]:
    """Return quantiles of the gate on the contexts that a step goes on from.

    A context counts as long as its newest frame does: a true one, or that of a path still alive.
    """
    newest = starts.history.shape[1] + step - 2
    kept = is_read[:, step - 2] if step > 1 else torch.ones_like(is_read[:, 0])
    readings = [reading for reading in trace.readings.values() if reading.gate is not None]
    found = {name: float("nan") for name in (*QUANTILES, "write_ratio")}
    if not readings or not kept.any():
        return found
    gates = torch.cat(
        [reading.gate[kept, newest] for reading in readings if reading.gate is not None]
    )
    shares = torch.cat([reading.share()[kept, newest] for reading in readings])
    levels = torch.tensor(list(QUANTILES.values()), device=gates.device)
    values = gates.quantile(levels).tolist()
    return {**dict(zip(QUANTILES, values, strict=True)), "write_ratio": float(shares.mean())}


def _corrupted(
    model: Generator, starts: Starts, setup: ScoringSetup, noise_sd: float, place: int
) -> dict[str, Any]:
    """Return what noise on the context does to the keys, and what it costs by where keys are from.

    The frame to be told stays clean. Positions before the longest reach of key and base are left
    out.
    """
    clean = starts.history
    drawn = torch.randn(
        clean.shape, generator=setup.generator(8, place), device=clean.device
    )  # fmt: skip
    noisy = clean + noise_sd * setup.limits.sd * drawn
    own, oracle = model.codes(noisy), model.codes(clean)
    sources = {"own": own, "oracle": oracle, "foreign": model.codes(foreign_contexts(noisy))}
    first = model.frames_needed - 1
    recent = model.recent(noisy)[:, first:-1]
    costs = dict.fromkeys((f"nll_{name}_nats" for name in sources), float("nan"))
    for name, codes in sources.items() if model.head.HAS_DENSITY else ():
        features = model.features(noisy, codes)[:, first:-1]
        nll = -model.log_prob(features, recent, clean[:, first + 1 :])
        costs[f"nll_{name}_nats"] = float(nll.double().mean())
    flips = (own != oracle)[:, first:].double().mean()
    return {"probe": CORRUPT, "step_frames": NO_STEP, "sigma": noise_sd,
            "flip_rate": float(flips), **costs}  # fmt: skip
