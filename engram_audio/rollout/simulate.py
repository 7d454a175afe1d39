"""Free running: a density fed with its own steps, for all starts and samples at once.

Whatever has `target`, `mean(batch)`, `sample(batch, S, generator)` and `log_prob(batch)` can run:
heads, linear nulls, memories, exact models. A path that has blown up stays where it was when it
left, so that it is neither averaged away nor turns everything else into infinities.

Shapes: S samples, N starts, W window, H horizon, D dimensions, R rows = paths of a batch.
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, cast

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Density
from engram_audio.keys.encoder import continued, following
from engram_audio.rollout.paths import Starts


def as_steps(model: nn.Module) -> Density:
    """Return a module that is known to take steps, as such."""
    return cast(Density, model)


class Guard(Protocol):
    """Keeps sampled frames on the support of the data."""

    num_attempts: int

    def keeps(self, states: Tensor, generator: torch.Generator) -> Tensor:
        """Return which drawn frames are accepted, bool [R], of [R, D]."""
        ...

    def project(self, states: Tensor) -> Tensor:
        """Return frames moved onto the support, [R, D]."""
        ...


class Limits(NamedTuple):
    """When a path counts as gone.

    Attributes:
        mean: Train mean, [D].
        sd: Train SD, [D].
        factor: RMS in SD beyond which a path has blown up.
    """

    mean: Tensor
    sd: Tensor
    factor: float

    def is_inside(self, states: Tensor) -> Tensor:
        """Return which states are finite and near the data, bool, of [..., D]."""
        rms = ((states - self.mean) / self.sd).square().mean(-1).sqrt()
        return torch.isfinite(rms) & (rms < self.factor)


class Settings(NamedTuple):
    """How to run.

    Attributes:
        horizon_frames: H.
        is_sampled: Draw every step, or follow the conditional mean.
        inject_frames: Put the true frame in after every n steps; None never does.
        batch_paths: Paths at a time.
        law: Gives mean and variance of the next frame of a context, each [R, D]; None where the
            density has no closed form.
    """

    horizon_frames: int
    is_sampled: bool
    inject_frames: int | None
    batch_paths: int
    law: Callable[[Batch], tuple[Tensor, Tensor]] | None = None


class Run(NamedTuple):
    """Paths that ran free.

    Attributes:
        states: Frames as they came out of each step, [S, N, H, D].
        before: The frame that each step went on from, [S, N, H, D]; an injected one is true.
        is_alive: Whether the path is still near the data after the step, [S, N, H].
        guarded: Share of steps that the guard had to draw again or move, and moved, two numbers.
        laws: Mean and variance that each frame was drawn with, each [S, N, H, D], if asked for.
    """

    states: Tensor
    before: Tensor
    is_alive: Tensor
    guarded: tuple[float, float]
    laws: tuple[Tensor, Tensor] | None = None

    def steps(self) -> Tensor:
        """Return the increments, [S, N, H, D]."""
        return self.states - self.before

    def of_starts(self, chosen: np.ndarray) -> "Run":
        """Return the paths from some of the starts."""
        laws = self.laws and (self.laws[0][:, chosen], self.laws[1][:, chosen])
        return self._replace(
            states=self.states[:, chosen], before=self.before[:, chosen],
            is_alive=self.is_alive[:, chosen], laws=laws,
        )  # fmt: skip


@torch.no_grad()
def free_run(
    model: Density,
    starts: Starts,
    settings: Settings,
    limits: Limits,
    num_samples: int,
    generator: torch.Generator,
    guard: Guard | None = None,
) -> Run:
    """Run from every start `num_samples` times."""
    count = len(starts.history)
    per_batch = max(settings.batch_paths // num_samples, 1)
    parts = [
        _run_batch(
            model, starts.rows(slice(low, low + per_batch)), settings, limits, num_samples,
            generator, guard,
        )
        for low in range(0, count, per_batch)
    ]  # fmt: skip
    sizes = np.array([part.states.shape[1] for part in parts], dtype=float)
    guarded = np.array([part.guarded for part in parts])
    shares = (sizes / sizes.sum()) @ guarded
    laws = [part.laws for part in parts if part.laws is not None]
    joined = [torch.cat(side, 1) for side in zip(*laws, strict=True)]
    return Run(
        torch.cat([part.states for part in parts], 1),
        torch.cat([part.before for part in parts], 1),
        torch.cat([part.is_alive for part in parts], 1),
        (float(shares[0]), float(shares[1])),
        (joined[0], joined[1]) if joined else None,
    )


def _run_batch(
    model: Density,
    starts: Starts,
    settings: Settings,
    limits: Limits,
    num_samples: int,
    generator: torch.Generator,
    guard: Guard | None,
) -> Run:
    count, window, dims = starts.history.shape
    rows, horizon = num_samples * count, settings.horizon_frames

    def repeated(values: Tensor) -> Tensor:
        return values.expand(num_samples, *values.shape).reshape(rows, *values.shape[1:])

    path = starts.history.new_empty((rows, window + horizon, dims))
    path[:, :window] = repeated(starts.history)
    so_far = None
    if starts.so_far is not None:
        so_far = starts.so_far.new_empty((rows, window + horizon, dims + 1))
        so_far[:, :window] = repeated(starts.so_far)
    speaker = repeated(starts.speaker_mean)
    states = starts.history.new_empty((rows, horizon, dims))
    before = torch.empty_like(states)
    means, variances = (torch.empty_like(states) if settings.law else None for _ in range(2))
    is_alive = torch.ones((rows, horizon), dtype=torch.bool, device=path.device)
    alive = is_alive[:, 0].clone()
    counts = [0, 0]
    for step in range(horizon):
        t = window + step
        newest = path[:, t - 1]
        seen = None if so_far is None else so_far[:, t - window : t]
        batch = Batch(path[:, t - window : t], newest, newest, speaker, seen)
        drawn = _next_frames(model, batch, settings.is_sampled, generator, guard, counts)
        alive = alive & limits.is_inside(drawn)
        drawn = torch.where(alive[:, None], drawn, newest)
        if settings.law and means is not None and variances is not None:
            mean, variance = settings.law(batch)
            # a path that is gone stays where it is, for certain
            means[:, step] = torch.where(alive[:, None], mean, drawn)
            variances[:, step] = torch.where(alive[:, None], variance, 0.0)
        before[:, step], states[:, step], is_alive[:, step] = newest, drawn, alive
        path[:, t] = drawn
        inject = settings.inject_frames
        if inject is not None and (step + 1) % inject == 0:
            has_true = repeated(starts.lengths > step)
            path[:, t] = torch.where(has_true[:, None], repeated(starts.future[:, step]), drawn)
            alive = alive | has_true
        if so_far is not None:  # every frame that the run went on from counts as heard
            so_far[:, t] = following(so_far[:, t - 1], path[:, t])
    shape = (num_samples, count, horizon)
    total = rows * horizon
    return Run(
        states.view(*shape, dims), before.view(*shape, dims), is_alive.view(shape),
        (counts[0] / total, counts[1] / total),
        None if means is None or variances is None
        else (means.view(*shape, dims), variances.view(*shape, dims)),
    )  # fmt: skip


def _next_frames(
    model: Density,
    batch: Batch,
    is_sampled: bool,
    generator: torch.Generator,
    guard: Guard | None,
    counts: list[int],
) -> Tensor:
    """Return the next frames, [R, D]; rejected draws are made again, then moved."""
    if not is_sampled:
        return to_frames(model, batch, model.mean(batch))
    drawn = to_frames(model, batch, model.sample(batch, 1, generator)[0])
    if guard is None:
        return drawn
    outside = torch.nonzero(~guard.keeps(drawn, generator))[:, 0]
    counts[0] += len(outside)
    for _ in range(guard.num_attempts):
        if not len(outside):
            break
        part = batch.rows(outside)
        again = to_frames(model, part, model.sample(part, 1, generator)[0])
        drawn[outside] = again
        outside = outside[~guard.keeps(again, generator)]
    if len(outside):
        counts[1] += len(outside)
        drawn[outside] = guard.project(drawn[outside])
    return drawn


def to_frames(model: Density, batch: Batch, values: Tensor) -> Tensor:
    """Return x_t of values of the model's own target."""
    return values + batch.previous if model.target == "delta" else values


@torch.no_grad()
def earlier_log_density(model: Density, starts: Starts, run: Run, batch_paths: int) -> Tensor:
    """Return log p(true step | dreamt context) along mean paths, nats, [N, H].

    The first experiment's score: the true increment, asked of a state that is not the true one.
    """
    horizon = run.states.shape[2]
    contexts, heard = contexts_along(starts, run.states[0], horizon)
    previous = run.before[0]
    current = previous + starts.true_steps()[:, :horizon]
    found = torch.empty(contexts.shape[:2], device=previous.device)
    for step in range(horizon):
        for low in range(0, len(previous), batch_paths):
            part = slice(low, low + batch_paths)
            batch = Batch(
                contexts[part, step], previous[part, step], current[part, step],
                starts.speaker_mean[part], None if heard is None else heard[part, step],
            )  # fmt: skip
            found[part, step] = model.log_prob(batch)
    return found


def contexts_along(starts: Starts, frames: Tensor, horizon: int) -> tuple[Tensor, Tensor | None]:
    """Return the contexts of all steps along frames [N, H, D], and what was heard by then.

    Returns:
        Shapes [N, H, W, D] and [N, H, W, D + 1]; None where no key asks for the speaker's mean.
    """
    window = starts.history.shape[1]
    heard = None
    if starts.so_far is not None:
        heard = _unfolded(continued(starts.so_far, frames), window, horizon)
    return _unfolded(torch.cat([starts.history, frames], 1), window, horizon), heard


def _unfolded(values: Tensor, window: int, horizon: int) -> Tensor:
    return values.unfold(1, window, 1)[:, :horizon].transpose(2, 3)
