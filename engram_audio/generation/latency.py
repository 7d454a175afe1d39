"""How long a generated frame takes: measured and printed, never used to match arms.

One sequence, one thread, frame after frame with the cache. No two runs measure the same.
"""

from time import perf_counter as clock_s
from typing import Any

import numpy as np
import torch

from engram_audio.generation.model import Generator
from engram_audio.generation.stream import lay_out_for_steps

WARM_FRAMES, NUM_FRAMES = 20, 200
QUANTILES = {"latency_ms": 0.5, "latency_ms_p10": 0.1, "latency_ms_p90": 0.9}


@torch.no_grad()
def latency_of(model: Generator, device: torch.device) -> dict[str, Any]:
    """Return quantiles over frames in milliseconds.

    Args:
        model: An arm that finds its own codes; its weights are laid out for steps.
        device: Where it runs.
    """
    lay_out_for_steps(model)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        seconds = _frame_seconds(model.to(device).eval(), device)
    finally:
        torch.set_num_threads(threads)
    values = 1e3 * np.quantile(seconds, list(QUANTILES.values()))
    found = dict(zip(QUANTILES, values.tolist(), strict=True))
    return {**found, "num_frames": NUM_FRAMES}


def _frame_seconds(model: Generator, device: torch.device) -> np.ndarray:
    generator = torch.Generator(device).manual_seed(0)
    newest, state = model.step(model.start(), model.mean.unsqueeze(0))
    seconds = []
    for _ in range(WARM_FRAMES + NUM_FRAMES):
        start = clock_s()
        frame = model.sample(newest, model.last(state), 1, generator)[0]
        newest, state = model.step(state, frame)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(clock_s() - start)
    return np.array(seconds[WARM_FRAMES:])
