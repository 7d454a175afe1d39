"""Worlds that no study has: a known one turned, one among white dimensions, one with heavy tails.

Shapes: D dimensions, M targets.
"""

import dataclasses
import functools
from typing import Any

import numpy as np
import scipy.stats

from engram_audio.calibration.layout import Speaker
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import Predictive, ProductPredictive, RotatedPredictive
from engram_audio.calibration.world import SpeakerFrames, World
from engram_audio.calibration.worlds_linear import Autoregression


def orthogonal(generator: np.random.Generator, num_dims: int) -> np.ndarray:
    """A random orthogonal matrix, shape [D, D]."""
    q, r = np.linalg.qr(generator.standard_normal((num_dims, num_dims)))
    return q * np.sign(np.diag(r))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Rotated(World):
    """x = z Q of a world z: densities are those of z, and no axis means anything."""

    inner: World

    @functools.cached_property
    def rotation(self) -> np.ndarray:
        """Q, shape [D, D]."""
        return orthogonal(self.generator("rotation"), self.num_dims)

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        part = self.inner.simulate_speaker(speaker, generator)
        return part._replace(frames=part.frames @ self.rotation)

    def oracle(self) -> Oracle:
        """See `World`."""
        return RotatedOracle(self)


class RotatedOracle(Oracle):
    """The inner world's, turned back."""

    def __init__(self, world: Rotated) -> None:
        self._inner, self._rotation = world.inner.oracle(), world.rotation

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        assert self._inner is not None
        turned = task._replace(frames=task.frames @ self._rotation.T)
        return RotatedPredictive(self._inner.predict(turned), self._rotation)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Distracted(World):
    """A world beside white dimensions of another SD, which say nothing."""

    inner: World
    noise_sd: float

    @property
    def white(self) -> Autoregression:
        """The white part at unit variance."""
        return Autoregression(seed=self.seed, num_dims=self.num_dims - self.inner.num_dims)

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        part = self.inner.simulate_speaker(speaker, generator)
        noise = generator.standard_normal((speaker.num_frames, self.white.num_dims))
        return part._replace(frames=np.concatenate([part.frames, self.noise_sd * noise], axis=1))

    def oracle(self) -> Oracle:
        """See `World`."""
        return DistractedOracle(self)


class DistractedOracle(Oracle):
    """Product of the two; positions only, whose white part is scaled."""

    def __init__(self, world: Distracted) -> None:
        self._world, self._inner, self._white = world, world.inner.oracle(), world.white.oracle()

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        assert self._inner is not None
        width = self._world.inner.num_dims
        left = self._inner.predict(task._replace(frames=task.frames[:, :width]))
        right = self._white.predict(
            task._replace(frames=task.frames[:, width:] / self._world.noise_sd)
        )
        scaled = Scaled(right, self._world.noise_sd)
        return ProductPredictive([left, scaled], [width, self._world.white.num_dims])


class Scaled(Predictive):
    """The law of s z, given the law of z."""

    def __init__(self, inner: Predictive, scale: float) -> None:
        self._inner, self._scale = inner, scale

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """See `Predictive`."""
        return self._inner.log_density(values / self._scale) - values.shape[1] * np.log(self._scale)

    def mean(self) -> np.ndarray:
        """See `Predictive`."""
        return self._scale * self._inner.mean()

    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """See `Predictive`."""
        return self._scale * self._inner.sample(generator, num_samples)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeavyTailed(World):
    """VAR(1) with independent t innovations of variance 1: linear, and far from Gaussian."""

    freedom: float = 5.0
    radius: float = 0.7

    @functools.cached_property
    def transition(self) -> np.ndarray:
        """A, shape [D, D]."""
        return self.radius * orthogonal(self.generator("transition"), self.num_dims)

    @property
    def scale(self) -> float:
        """Scale of a t of variance 1."""
        return float(np.sqrt((self.freedom - 2) / self.freedom))

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`; 40 frames of burn-in leave .7^40 of the start."""
        parts = []
        for length in speaker.lengths:
            x = self.scale * generator.standard_t(self.freedom, (40 + length, self.num_dims))
            for t in range(1, len(x)):
                x[t] += x[t - 1] @ self.transition.T
            parts.append(x[40:])
        return SpeakerFrames(np.concatenate(parts), {})

    def oracle(self) -> Oracle:
        """See `World`."""
        return HeavyTailedOracle(self)

    def shape_nats(self) -> float:
        """What a Gaussian of the same mean and variance pays for the shape, nats per frame."""
        entropy = scipy.stats.t(self.freedom, scale=self.scale).entropy()
        return self.num_dims * float(0.5 * np.log(2 * np.pi * np.e) - entropy)


class HeavyTailedOracle(Oracle):
    """Lag 1 only: the newest frame is the whole state."""

    def __init__(self, world: HeavyTailed) -> None:
        self._world = world

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        assert task.lag_frames == 1
        newest = task.frames[task.newest()]
        mean = newest @ self._world.transition.T
        return StudentPredictive(mean - newest if task.space == "delta" else mean, self._world)


class StudentPredictive(Predictive):
    """Independent t laws about known means, [M, D]."""

    def __init__(self, mean: np.ndarray, world: HeavyTailed) -> None:
        law: Any = scipy.stats.t(world.freedom, scale=world.scale)
        self._mean, self._law = mean, law

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """See `Predictive`."""
        return self._law.logpdf(values - self._mean).sum(axis=1)

    def mean(self) -> np.ndarray:
        """See `Predictive`."""
        return self._mean

    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """See `Predictive`."""
        noise = self._law.rvs((num_samples, *self._mean.shape), random_state=generator)
        return self._mean + noise
