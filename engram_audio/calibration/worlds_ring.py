"""A noisy limit cycle in a plane, embedded in more dimensions inside a thin tube.

Shapes: D dimensions, N frames, M targets, P particles, S samples.
"""

import dataclasses
import functools

import numpy as np

from engram_audio.calibration.layout import Speaker, ragged
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import Predictive
from engram_audio.calibration.world import SpeakerFrames, World
from engram_audio.numerics.log_sums import log_sum_exp
from engram_audio.numerics.seeds import named_generator
from engram_audio.numerics.units import LOG_2PI

BURN_IN_FRAMES = 300
VARIANCE_DRAWS = 20_000
CHUNK_VALUES = 4_000_000
MARGINAL_FACTOR = 16  # particles without context are spread over the whole cycle


@dataclasses.dataclass(frozen=True, kw_only=True)
class LimitCycle(World):
    """x_{t+1} = f(u_t) E + tube_sd n, u = x E' / gain^2, E a plane of D dimensions.

    f turns by `angle_rad` and pulls the radius to 1: rho' = rho + pull rho (1 - rho^2). E has
    orthogonal rows of norm gain = sqrt(D / 2), so that each dimension has variance near 1/2. The
    noise inside the plane feeds the dynamics; so x is Markov, and the phase slowly forgets.
    """

    num_dims: int = 16
    angle_rad: float = 0.5
    pull: float = 0.3
    tube_sd: float = 0.02
    num_particles: int = 2048

    @property
    def gain(self) -> float:
        """Norm of the rows of E."""
        return float(np.sqrt(self.num_dims / 2))

    @functools.cached_property
    def basis(self) -> np.ndarray:
        """Orthonormal basis whose first two rows span the plane, shape [D, D]."""
        normal = self.generator("plane").standard_normal((self.num_dims, self.num_dims))
        orthogonal, upper = np.linalg.qr(normal)
        return (orthogonal * np.sign(np.diag(upper))).T

    def advance(self, plane: np.ndarray) -> np.ndarray:
        """Return f(u), shape [..., 2]."""
        square = (plane**2).sum(axis=-1, keepdims=True)
        pulled = plane * (1 + self.pull * (1 - square))
        cosine, sine = np.cos(self.angle_rad), np.sin(self.angle_rad)
        return pulled @ np.array([[cosine, sine], [-sine, cosine]])

    @property
    def plane_sd(self) -> float:
        """Noise of u in each of its two dimensions."""
        return self.tube_sd / self.gain

    def step_plane(self, plane: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return a draw of the next u, shape [..., 2]."""
        return self.advance(plane) + self.plane_sd * generator.standard_normal(plane.shape)

    def stationary_plane(
        self, shape: tuple[int, ...], generator: np.random.Generator
    ) -> np.ndarray:
        """Draw u from the stationary law, shape [*shape, 2]."""
        angle = generator.uniform(0, 2 * np.pi, size=shape)
        plane = np.stack([np.cos(angle), np.sin(angle)], axis=-1)
        for _ in range(BURN_IN_FRAMES):
            plane = self.step_plane(plane, generator)
        return plane

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        lengths = speaker.lengths
        longest = int(lengths.max())
        plane = self.stationary_plane((len(lengths),), generator)
        path = np.empty((len(lengths), longest, 2))
        for frame in range(longest):
            path[:, frame] = plane
            plane = self.step_plane(plane, generator)
        flat = ragged(path, lengths)
        rest = self.tube_sd * generator.standard_normal((len(flat), self.num_dims - 2))
        frames = np.concatenate([self.gain * flat, rest], axis=1) @ self.basis
        return SpeakerFrames(frames, {"angle": np.arctan2(flat[:, 1], flat[:, 0])})

    def delta_variance(self) -> np.ndarray:
        """See `World`.

        By symmetry the plane's two dimensions have equal variance; |f(u) - u|^2 hardly varies
        along the cycle, so its mean over many draws is known to about 1e-5.
        """
        plane = self.stationary_plane((VARIANCE_DRAWS,), self.generator("variance"))
        square = ((self.advance(plane) - plane) ** 2).sum(axis=-1).mean()
        plane_variance = self.gain**2 * (square / 2 + self.plane_sd**2)
        rest = np.full(self.num_dims - 2, 2 * self.tube_sd**2)
        return np.concatenate([np.full(2, plane_variance), rest]) @ self.basis**2

    def oracle(self) -> Oracle:
        """See `World`."""
        return RingOracle(self)


class RingOracle(Oracle):
    """Particles through f; the last step is exact, so the density is unbiased (its log is not).

    With P particles the log is low by about Var / (2 p^2): at most 0.01 nats here with 2,048,
    checked against 16,384.
    """

    def __init__(self, world: LimitCycle) -> None:
        """Keep the world."""
        self._world = world

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        world, lag = self._world, task.lag_frames
        rotated = task.frames @ world.basis.T
        plane, rest = rotated[:, :2] / world.gain, rotated[:, 2:]
        # particles depend on the task alone: the same question has the same answer
        generator = named_generator(world.seed, "particles", task.speaker_id, str(lag))
        if lag is None:
            particles = MARGINAL_FACTOR * world.num_particles
            before = world.stationary_plane((1, particles), generator)
        elif lag == 1:
            before = plane[task.newest()][:, None]
        else:
            start = plane[task.newest()][:, None]
            before = np.broadcast_to(start, (len(start), world.num_particles, 2))
            for _ in range(lag - 1):
                before = world.step_plane(before, generator)
        is_delta = task.space == "delta"
        shift, variance = 0.0, world.tube_sd**2
        if is_delta and lag == 1:
            shift = -rest[task.targets - 1]
        elif is_delta:
            variance = 2 * variance
        shift = np.broadcast_to(shift, (len(task.targets), world.num_dims - 2))
        return RingLaw(world, before, is_delta, shift, variance)


class RingLaw(Predictive):
    """Law of delta or position given particles of u_{t-1}, [M or 1, P, 2], and off-plane shifts."""

    def __init__(
        self,
        world: LimitCycle,
        before: np.ndarray,
        is_delta: bool,
        rest_shift: np.ndarray,
        rest_variance: float,
    ) -> None:
        """Keep the particles' one-step means and the law of the other D - 2 dimensions."""
        self._world = world
        self._centre = world.advance(before) - (before if is_delta else 0.0)
        self._rest_shift, self._rest_variance = rest_shift, rest_variance

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """See `Predictive`."""
        world = self._world
        rotated = values @ world.basis.T
        plane, rest = rotated[:, :2] / world.gain, rotated[:, 2:] - self._rest_shift
        out = np.empty(len(values))
        rows = max(1, CHUNK_VALUES // self._centre.shape[1])
        for low in range(0, len(values), rows):
            part = slice(low, low + rows)
            centre = self._centre[part] if len(self._centre) > 1 else self._centre
            square = ((plane[part, None] - centre) ** 2).sum(axis=2)
            log_parts = -0.5 * square / world.plane_sd**2
            out[part] = log_sum_exp(log_parts, axis=1) - np.log(centre.shape[1])
        out -= LOG_2PI + 2 * np.log(world.plane_sd) + 2 * np.log(world.gain)
        rest_log = -0.5 * (rest**2 / self._rest_variance + np.log(self._rest_variance) + LOG_2PI)
        return out + rest_log.sum(axis=1)

    def mean(self) -> np.ndarray:
        """See `Predictive`."""
        centre = np.broadcast_to(self._centre.mean(axis=1), (len(self._rest_shift), 2))
        joined = np.concatenate([self._world.gain * centre, self._rest_shift], axis=1)
        return joined @ self._world.basis

    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """See `Predictive`."""
        world, num_targets = self._world, len(self._rest_shift)
        pick = generator.integers(self._centre.shape[1], size=(num_samples, num_targets))
        row = np.arange(num_targets) if len(self._centre) > 1 else np.zeros(num_targets, dtype=int)
        plane = self._centre[row, pick]
        plane = plane + world.plane_sd * generator.standard_normal(plane.shape)
        noise = generator.standard_normal((num_samples, *self._rest_shift.shape))
        rest = self._rest_shift + np.sqrt(self._rest_variance) * noise
        return np.concatenate([world.gain * plane, rest], axis=2) @ world.basis
