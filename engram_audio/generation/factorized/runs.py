"""Free runs of a factorised path from the starts of direct generators, beside the same frames.

The arm runs over z_dyn, and each frame is drawn given it. No drawn frame is encoded again.

Shapes: N starts, M samples, H horizon in frames, K steps of z_dyn of d dimensions, D dimensions
of a frame.
"""

import numpy as np
import torch
from torch import Tensor

from engram_audio.factorizer.context import MEMORY_STEPS
from engram_audio.factorizer.evaluation import pad_utterances
from engram_audio.generation.factorized.path import StatePath
from engram_audio.latents.block import BlockSource
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.setup import ScoringSetup
from engram_audio.rollout.simulate import Limits, Run, Settings, free_run

BATCH_UTTERANCES = 16


@torch.no_grad()
def run_path(path: StatePath, starts: Starts, source: BlockSource, setup: ScoringSetup) -> Run:
    """Return free runs of the frames after each start, as `free_run` gives them.

    Args:
        path: What runs.
        starts: True contexts of the direct generators. z_dyn of an utterance is made of all of
            its frames before the start.
        source: Stream that the starts were chosen from.
        setup: Train statistics, and how many samples and steps.
    """
    horizon, samples = setup.settings.horizon_frames, setup.settings.num_long_samples
    first = np.asarray(starts.first_frames)
    known = path.num_known(first)
    width = max(starts.history.shape[1] // path.stride, 1)
    kept = max(width, MEMORY_STEPS)  # the upsampler may look further back than the arm
    history = _history(path, starts, source, known, kept)
    last = (first + horizon - 1) // path.stride + 1
    num_drawn = max(int((last - known).max()), 1)
    generator = setup.generator(9)
    limits = _limits(path, setup.limits.factor)
    own = _starts_of_states(starts, history[:, kept - width :], num_drawn)
    how = Settings(num_drawn, True, None, setup.settings.batch_paths)
    run = free_run(path.density, own, how, limits, samples, generator)
    whole = torch.cat([history.expand(samples, *history.shape), run.states], 2)
    frames = path.frames_of(whole.flatten(0, 1), generator)
    begins = torch.from_numpy((kept - known) * path.stride + first)
    rows = begins[:, None] + torch.arange(horizon)  # of each start's frames
    rows = rows.to(frames.device).expand(samples, -1, -1).flatten(0, 1)
    frames = frames.gather(1, rows.unsqueeze(-1).expand(-1, -1, frames.shape[-1]))
    step = (rows.view(samples, -1, horizon) // path.stride - kept).clamp_min(0)
    is_alive = run.is_alive.gather(2, step)
    return _as_run(frames.view(samples, len(first), horizon, -1), is_alive, starts, setup.limits)


def _history(
    path: StatePath, starts: Starts, source: BlockSource, known: np.ndarray, num_steps: int
) -> Tensor:
    """Return z_dyn of the newest K known steps before each start, oldest first, [N, K, d].

    Steps before an utterance are what the upsampler reads there: 0 in the networks' units.
    """
    dims = path.factorizer.settings.state.num_dims
    nothing = torch.zeros(len(known), num_steps, dims, device=path.device)
    found = path.units.apply(nothing)
    for block in source():
        names = np.asarray(block.utterance_ids, dtype=str)
        used = np.flatnonzero(np.isin(names, starts.utterance_ids))
        for low in range(0, len(used), BATCH_UTTERANCES):
            own = used[low : low + BATCH_UTTERANCES]
            steps = path.steps_of(pad_utterances(block, own).frames, names[own])
            for row, name in enumerate(names[own]):
                for start in np.flatnonzero(starts.utterance_ids == name):
                    newest = steps[row, max(known[start] - num_steps, 0) : known[start]]
                    found[start, num_steps - len(newest) :] = newest
    return found


def _starts_of_states(starts: Starts, history: Tensor, num_steps: int) -> Starts:
    """Return starts in z_dyn; nothing of what follows is known there."""
    count, _, dims = history.shape
    nothing = history.new_zeros(count, num_steps, dims)
    return starts._replace(
        history=history, future=nothing, speaker_mean=nothing[:, 0], so_far=None,
        lengths=torch.zeros(count, dtype=torch.int64, device=history.device),
    )  # fmt: skip


def _limits(path: StatePath, factor: float) -> Limits:
    known = path.generator.spec.dimensions
    mean, sd = (
        torch.as_tensor(part, dtype=torch.float32, device=path.device)
        for part in (known.frame_mean, known.frame_sd)
    )
    return Limits(mean, sd, factor)


def _as_run(frames: Tensor, is_alive: Tensor, starts: Starts, limits: Limits) -> Run:
    """Return drawn frames [M, N, H, D] as a run: a path that is gone stays where it was."""
    alive = (is_alive & limits.is_inside(frames)).int().cummin(-1).values.bool()
    newest = starts.history[:, -1].expand(len(frames), -1, -1).unsqueeze(2)
    held = torch.cat([newest, frames], 2)
    place = torch.arange(1, frames.shape[2] + 1, device=frames.device)
    latest = torch.where(alive, place, 0).cummax(-1).values  # 0: the frame before the run
    index = latest.unsqueeze(-1).expand(*latest.shape, frames.shape[-1])
    states = held.gather(2, index)
    return Run(states, torch.cat([newest, states[:, :, :-1]], 2), alive, (0.0, 0.0))
