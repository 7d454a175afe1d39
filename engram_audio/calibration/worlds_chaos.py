"""Chaotic maps: much is known one step ahead, little ten steps ahead, and the support has edges.

Shapes: D dimensions, M targets, G grid cells, S samples.
"""

import dataclasses
import functools

import numpy as np

from engram_audio.calibration.layout import Speaker, ragged
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import Predictive, RotatedPredictive
from engram_audio.calibration.world import SpeakerFrames, World

BURN_IN_FRAMES = 300


@dataclasses.dataclass(frozen=True, kw_only=True)
class LogisticMaps(World):
    """Independent maps x' = reflect(r x (1 - x) + noise_sd n) in [0, 1], one per dimension.

    `is_rotated` turns the box by a random rotation, so that no axis-aligned box is the support.
    """

    num_dims: int = 8
    smallest_rate: float = 3.6
    largest_rate: float = 3.95
    noise_sd: float = 0.02
    is_rotated: bool = False
    num_cells: int = 800

    @functools.cached_property
    def rates(self) -> np.ndarray:
        """Growth rate of each map, shape [D]."""
        return np.linspace(self.smallest_rate, self.largest_rate, self.num_dims)

    @functools.cached_property
    def rotation(self) -> np.ndarray:
        """Orthogonal matrix from maps to frames, x = z Q, shape [D, D]."""
        if not self.is_rotated:
            return np.eye(self.num_dims)
        normal = self.generator("rotation").standard_normal((self.num_dims, self.num_dims))
        orthogonal, upper = np.linalg.qr(normal)
        return orthogonal * np.sign(np.diag(upper))

    def step(self, state: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return the next states; the last axis is D."""
        noise = self.noise_sd * generator.standard_normal(state.shape)
        inner = np.abs(self.rates * state * (1 - state) + noise)
        return np.where(inner > 1, 2 - inner, inner)

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        lengths = speaker.lengths
        state = generator.random((len(lengths), self.num_dims))
        for _ in range(BURN_IN_FRAMES):
            state = self.step(state, generator)
        frames = np.empty((len(lengths), int(lengths.max()), self.num_dims))
        for frame in range(frames.shape[1]):
            frames[:, frame] = state
            state = self.step(state, generator)
        return SpeakerFrames(ragged(frames, lengths) @ self.rotation, {})

    @functools.cached_property
    def cells(self) -> np.ndarray:
        """Centres of the grid's cells, shape [G]."""
        return (np.arange(self.num_cells) + 0.5) / self.num_cells

    def kernel(self, dim: int, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        """Return the density of x_t = end given x_{t-1} = start, broadcast; 0 outside [0, 1]."""
        centre = self.rates[dim] * start * (1 - start)
        total = 0.0
        for image in (end, -end, 2 - end):
            total = total + np.exp(-0.5 * ((image - centre) / self.noise_sd) ** 2)
        inside = (end >= 0) & (end <= 1)
        return np.where(inside, total, 0.0) / (self.noise_sd * np.sqrt(2 * np.pi))

    @functools.cached_property
    def transitions(self) -> np.ndarray:
        """Return P[d, i, j], the mass of cell j after one step from cell i, shape [D, G, G]."""
        stack = np.array(
            [self.kernel(d, self.cells[:, None], self.cells[None, :]) for d in range(self.num_dims)]
        )
        return stack / stack.sum(axis=2, keepdims=True)

    @functools.cached_property
    def stationary(self) -> np.ndarray:
        """Stationary mass of the cells, shape [D, G]."""
        mass = np.full((self.num_dims, 1, self.num_cells), 1 / self.num_cells)
        for _ in range(BURN_IN_FRAMES):
            mass = mass @ self.transitions
        return mass[:, 0]

    def grid_moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return means and variances of x and the variance of delta of each map, from the grid."""
        mass, cells = self.stationary, self.cells
        mean = mass @ cells
        following = self.transitions @ cells
        variance = mass @ cells**2 - mean**2
        covariance = (mass * cells * following).sum(axis=1) - mean**2
        return variance, 2 * (variance - covariance)

    def delta_variance(self) -> np.ndarray:
        """See `World`; a rotation mixes independent maps."""
        return (self.rotation**2).T @ self.grid_moments()[1]

    def oracle(self) -> Oracle:
        """See `World`."""
        return LogisticOracle(self)


class LogisticOracle(Oracle):
    """Densities k steps ahead on a grid; one step ahead in closed form."""

    def __init__(self, world: LogisticMaps) -> None:
        """Keep the world."""
        self._world = world

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        world, lag = self._world, task.lag_frames
        newest = None if lag is None else task.frames[task.newest()] @ world.rotation.T
        law = LogisticLaw(world, newest, lag, task.space == "delta", len(task.targets))
        return RotatedPredictive(law, world.rotation)


class LogisticLaw(Predictive):
    """Law of delta or position of independent maps given the state k steps before."""

    def __init__(
        self,
        world: LogisticMaps,
        newest: np.ndarray | None,
        lag_frames: int | None,
        is_delta: bool,
        num_targets: int,
    ) -> None:
        """Keep the state at t - k, [M, D] (None: stationary), and what is predicted."""
        self._world, self._newest, self._is_delta = world, newest, is_delta
        self._lag, self._num_targets = lag_frames, num_targets

    def _before(self, dim: int) -> tuple[np.ndarray, np.ndarray]:
        """Return points and masses of x_{t-1}: [M, 1] known, or cells [1, G] with masses [M, G]."""
        world, lag = self._world, self._lag
        cells = world.cells[None, :]
        if lag is None or self._newest is None:
            return cells, np.tile(world.stationary[dim], (self._num_targets, 1))
        start = self._newest[:, dim, None]
        if lag == 1:
            return start, np.ones_like(start)
        mass = world.kernel(dim, start, cells)
        mass = mass / mass.sum(axis=1, keepdims=True)
        for _ in range(lag - 2):
            mass = mass @ world.transitions[dim]
        return cells, mass

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """See `Predictive`."""
        total = np.zeros(len(values))
        for dim in range(self._world.num_dims):
            points, mass = self._before(dim)
            end = values[:, dim, None] + (points if self._is_delta else 0.0)
            density = (mass * self._world.kernel(dim, points, end)).sum(axis=1)
            total += np.log(np.maximum(density, np.finfo(np.float64).tiny))
        return total

    def mean(self) -> np.ndarray:
        """See `Predictive`."""
        columns = []
        for dim in range(self._world.num_dims):
            points, mass = self._before(dim)
            cells = self._world.cells
            following = self._world.kernel(dim, points[..., None], cells) @ cells
            following = following / self._world.num_cells
            change = following - points if self._is_delta else following
            columns.append((mass * change).sum(axis=1))
        return np.stack(columns, axis=1)

    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """See `Predictive`; simulates forward."""
        world, shape = self._world, (num_samples, self._num_targets, self._world.num_dims)
        if self._newest is None or self._lag is None:
            last = np.empty(shape)
            for dim, mass in enumerate(world.stationary):
                last[..., dim] = generator.choice(world.cells, size=shape[:2], p=mass / mass.sum())
        else:
            last = np.broadcast_to(self._newest, shape).copy()
            for _ in range(self._lag - 1):
                last = world.step(last, generator)
        state = world.step(last, generator)
        return state - last if self._is_delta else state
