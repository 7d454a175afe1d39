"""Exact forecasts and exact free runs of planted worlds, and the score of a method against them.

The ceiling of a forecast is the exact law of delta and position given the starting state, in the
family that every method is scored in: diagonal Gaussians with the law's own mean and variance
(closed form for VAR(1), the oracle's grid for logistic maps, particles for the ring). The ceiling
of a generator is the world's own equations.

Shapes: S samples, N starts, H horizon, D dimensions.
"""

from typing import NamedTuple

import numpy as np
import scipy.spatial
import torch
from torch import Tensor

from engram_audio.calibration.world import World
from engram_audio.calibration.worlds_chaos import LogisticMaps
from engram_audio.calibration.worlds_linear import DampedRotations
from engram_audio.calibration.worlds_ring import LimitCycle
from engram_audio.calibration.worlds_table import SymbolTable
from engram_audio.densities.base import Batch
from engram_audio.densities.density import Density
from engram_audio.latents.block import LatentBlock
from engram_audio.rollout.forecasts import Forecast, Gaussians, Marginals, marginals_of
from engram_audio.rollout.paths import Starts, collect_starts, other_starts
from engram_audio.rollout.simulate import Limits, Run
from tests.statistical.planted_prediction import CPU, Planted

PARTICLES = 1024


class Moments(NamedTuple):
    """Means and variances of delta and position at horizons 1..H, each [N, H, D]."""

    delta_mean: np.ndarray
    delta_variance: np.ndarray
    position_mean: np.ndarray
    position_variance: np.ndarray

    def forecast(self) -> Forecast:
        parts = [torch.from_numpy(np.asarray(part, dtype=np.float32)) for part in self]
        horizons = tuple(range(1, self.delta_mean.shape[1] + 1))
        return Forecast(
            Gaussians(parts[0], parts[1].sqrt()), Gaussians(parts[2], parts[3].sqrt()), horizons
        )


def exact_moments(world: World, states: np.ndarray, horizon: int) -> Moments:
    """Return the exact law's moments given starting states [N, D]."""
    if isinstance(world, DampedRotations):
        return _linear_moments(world, states, horizon)
    if isinstance(world, LogisticMaps):
        return _chaotic_moments(world, states, horizon)
    assert isinstance(world, LimitCycle)
    return _ring_moments(world, states, horizon)


def _stacked(rows: list[tuple[np.ndarray, ...]]) -> Moments:
    return Moments(*(np.stack(column, 1) for column in zip(*rows, strict=True)))


def _linear_moments(world: DampedRotations, states: np.ndarray, horizon: int) -> Moments:
    step = world.model.transition
    identity = np.eye(len(step))
    mean, covariance = states.astype(float), np.zeros_like(step)
    rows = []
    for _ in range(horizon):
        change = step - identity
        moved = change @ covariance @ change.T + identity
        before = mean
        mean, covariance = mean @ step.T, step @ covariance @ step.T + identity
        shape = mean.shape
        rows.append((
            mean - before, np.broadcast_to(np.diag(moved), shape), mean,
            np.broadcast_to(np.diag(covariance), shape),
        ))  # fmt: skip
    return _stacked(rows)


def _chaotic_moments(world: LogisticMaps, states: np.ndarray, horizon: int) -> Moments:
    maps = states.astype(float) @ world.rotation.T
    cells = world.cells
    found = []
    for dim in range(world.num_dims):
        start = np.clip(maps[:, dim], 0, 1)
        kernel = world.kernel(dim, start[:, None], cells[None])
        mass = kernel / kernel.sum(1, keepdims=True)
        transition = world.transitions[dim]
        following = transition @ cells
        square = transition @ cells**2
        step_mean, step_square = following - cells, square - 2 * cells * following + cells**2
        columns = []
        # the first step starts from a known state: delta is as uncertain as position
        moved = mass @ cells - start
        moved_variance = mass @ cells**2 - (mass @ cells) ** 2
        for _ in range(horizon):
            mean = mass @ cells
            columns.append((moved, moved_variance, mean, mass @ cells**2 - mean**2))
            moved = mass @ step_mean
            moved_variance = mass @ step_square - moved**2
            mass = mass @ transition
        found.append(_stacked(columns))
    means = [np.stack([part[place] for part in found], -1) @ world.rotation for place in (0, 2)]
    spread = world.rotation**2
    variances = [np.stack([part[place] for part in found], -1) @ spread for place in (1, 3)]
    return Moments(means[0], variances[0], means[1], variances[1])


def _ring_moments(world: LimitCycle, states: np.ndarray, horizon: int) -> Moments:
    generator = np.random.default_rng(0)
    rotated = states.astype(float) @ world.basis.T
    shape = (PARTICLES, len(states), 2)
    plane = np.broadcast_to(rotated[:, :2] / world.gain, shape)
    rest, tube = rotated[:, 2:], world.tube_sd**2
    rows = []
    for number in range(horizon):
        # the last step's noise is put in exactly
        centre = world.advance(plane)
        moved = centre - plane
        in_delta = rest if number == 0 else np.zeros_like(rest)
        row = []
        for values, off_mean, off_variance in (
            (moved, -in_delta, tube if number == 0 else 2 * tube),
            (centre, np.zeros_like(rest), tube),
        ):
            mean = np.concatenate([world.gain * values.mean(0), off_mean], 1) @ world.basis
            variance = (world.gain * (values - values.mean(0)) @ world.basis[:2]).var(0)
            noise = np.full(world.num_dims, off_variance)
            noise[:2] = tube
            row += [mean, variance + noise @ world.basis**2]
        rows.append(tuple(row))
        plane = centre + world.plane_sd * generator.standard_normal(shape)
    return _stacked(rows)


def exact_run(world: World, starts: Starts, horizon: int, num_samples: int, seed: int = 0) -> Run:
    """Run the world's own equations from the newest true frames."""
    generator = np.random.default_rng(seed)
    newest = starts.history[:, -1].double().numpy()
    state = np.broadcast_to(newest, (num_samples, *newest.shape))
    found = []
    for _ in range(horizon):
        state = _advanced(world, state, generator)
        found.append(state.astype(np.float32))
    states = torch.from_numpy(np.stack(found, 2))
    first = starts.history[:, -1].expand(num_samples, -1, -1).unsqueeze(2)
    before = torch.cat([first, states[:, :, :-1]], 2)
    return Run(states, before, torch.ones(states.shape[:3], dtype=torch.bool), (0.0, 0.0))


def _advanced(world: World, state: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    if isinstance(world, DampedRotations):
        return state @ world.model.transition.T + generator.standard_normal(state.shape)
    if isinstance(world, LogisticMaps):
        maps = np.clip(state @ world.rotation.T, 0, 1)
        return world.step(maps, generator) @ world.rotation
    if isinstance(world, SymbolTable):
        tree = scipy.spatial.KDTree(world.centres)
        symbol = tree.query(state.reshape(-1, world.num_dims))[1].reshape(state.shape[:-1])
        jumps = generator.random(symbol.shape) < world.jump_probability
        anywhere = generator.integers(world.num_symbols, size=symbol.shape)
        symbol = np.where(jumps, anywhere, world.chain.successor[symbol])
        return world.centres[symbol] + world.noise_sd * generator.standard_normal(state.shape)
    assert isinstance(world, LimitCycle)
    plane = (state @ world.basis.T)[..., :2] / world.gain
    noise = world.tube_sd * generator.standard_normal((*state.shape[:-1], world.num_dims - 2))
    plane = world.step_plane(plane, generator)
    return np.concatenate([world.gain * plane, noise], -1) @ world.basis


class ExactLinear(Density):
    """The exact law of a VAR(1) step as a density of delta."""

    target = "delta"

    def __init__(self, world: DampedRotations) -> None:
        super().__init__()
        self.transition = torch.from_numpy(world.model.transition).float()

    def mean(self, batch) -> Tensor:
        newest = batch.context[:, -1]
        return newest @ self.transition.T - newest

    def sample(self, batch, num_samples: int, generator: torch.Generator) -> Tensor:
        mean = self.mean(batch)
        return mean + torch.randn((num_samples, *mean.shape), generator=generator)

    def log_prob(self, batch) -> Tensor:
        mean = self.mean(batch)
        return Gaussians(mean, torch.ones_like(mean)).log_prob(batch.current - batch.previous)


class ExactWorld(Density):
    """The world's own equations as a density of position that can be drawn from."""

    target = "position"

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world

    def mean(self, batch: Batch) -> Tensor:
        return self.sample(batch, 16, torch.Generator().manual_seed(0)).mean(0)

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        seed = int(torch.randint(2**31, (1,), generator=generator))
        newest = batch.context[:, -1].double().numpy()
        states = np.broadcast_to(newest, (num_samples, *newest.shape))
        return torch.from_numpy(_advanced(self.world, states, np.random.default_rng(seed))).float()

    def log_prob(self, batch: Batch) -> Tensor:
        return torch.zeros(len(batch.current))  # asked by the first experiment's score alone


def others_of(world: Planted, block: LatentBlock, starts: Starts, minimum: int) -> Starts:
    """Other starts of the same utterances."""
    return other_starts(lambda: iter([block]), world.material.reference.speakers, starts, minimum)


def starts_of(world: Planted, block: LatentBlock, horizon: int, minimum: int, count: int) -> Starts:
    """Starting states on a block of eval utterances."""
    return collect_starts(
        lambda: iter([block]), world.material.reference.speakers, world.material.window_frames,
        horizon, minimum, count,
    )  # fmt: skip


def marginals(world: Planted) -> Marginals:
    reference = world.material.reference
    return marginals_of(reference.frame_mean, reference.frame_sd, reference.delta_sd, CPU)


def limits(world: Planted, factor: float = 10.0) -> Limits:
    reference = world.material.reference
    mean, sd = (
        torch.from_numpy(part).float() for part in (reference.frame_mean, reference.frame_sd)
    )
    return Limits(mean, sd, factor)
