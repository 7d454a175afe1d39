"""Walks whose increments depend on a hidden phase: x_t = x_{t-1} + d_t, d_t ~ p(. | phase_t).

Absolute keys see nothing of them; their deltas carry everything. The phase moves to the next one
with probability 1 - jump, else anywhere; no phase (`num_phases` 1) means nothing is predictable.
Shapes: D dimensions, S phases, K mixture components, N frames, M targets.
"""

import dataclasses
import functools
from typing import ClassVar, NamedTuple

import numpy as np

from engram_audio.calibration.chains import Chain, cycle, forward_filter
from engram_audio.calibration.layout import Speaker, padded, ragged
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import (
    MixturePredictive,
    Predictive,
    isotropic_log_densities,
)
from engram_audio.calibration.radial import diagonal_entropy, scale_mixture_entropy
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import SpeakerFrames, World

START_SD = 2.0
# log-normal lengths as a mixture: nodes this far apart, in log length, to this many deviations
LOG_LENGTH_STEP = 0.05
LOG_LENGTH_RANGE_SD = 5.0


class Components(NamedTuple):
    """p(d | phase) as isotropic Gaussians.

    Attributes:
        phase: Phase of each component, ascending, equally many for each, shape [K].
        weight: Weight within the phase, shape [K].
        centre: Shape [K, D].
        sd: Shape [K].
    """

    phase: np.ndarray
    weight: np.ndarray
    centre: np.ndarray
    sd: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class PhaseWalk(World):
    """Common part of all walks."""

    IS_WALK: ClassVar[bool] = True

    num_phases: int = 1
    jump_probability: float = 0.02

    @functools.cached_property
    def chain(self) -> Chain:
        """The phase chain."""
        return cycle(self.num_phases, self.jump_probability)

    @functools.cached_property
    def components(self) -> Components:
        """The law of an increment given its phase."""
        raise NotImplementedError

    @functools.cached_property
    def directions(self) -> np.ndarray:
        """A random unit vector per phase, shape [S, D]."""
        vectors = self.generator("directions").standard_normal((self.num_phases, self.num_dims))
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def draw_increments(self, phase: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw d given phases [N], shape [N, D]."""
        parts = self.components
        num_parts = len(parts.phase) // self.num_phases  # components are listed phase by phase
        cumulative = np.cumsum(parts.weight.reshape(self.num_phases, num_parts), axis=1)
        uniform = generator.random(len(phase))
        which = (cumulative[phase] <= uniform[:, None]).sum(axis=1).clip(max=num_parts - 1)
        chosen = phase * num_parts + which
        noise = generator.standard_normal((len(phase), self.num_dims))
        return parts.centre[chosen] + parts.sd[chosen, None] * noise

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        shape = (len(speaker.lengths), int(speaker.lengths.max()))
        phase = ragged(self.chain.sample(shape, generator), speaker.lengths)
        steps = padded(self.draw_increments(phase, generator), speaker.lengths)
        steps[:, 0] = START_SD * generator.standard_normal((shape[0], self.num_dims))
        frames = ragged(np.cumsum(steps, axis=1), speaker.lengths)
        return SpeakerFrames(frames, {"phase": phase})

    def delta_variance(self) -> np.ndarray:
        """See `World`."""
        parts = self.components
        second = parts.weight @ (parts.centre**2 + parts.sd[:, None] ** 2) / self.num_phases
        return second - self.delta_mean() ** 2

    def delta_autocovariance(self, steps: int) -> np.ndarray:
        """See `World`; given their phases, steps are independent."""
        if steps:
            means = self.phase_means() - self.delta_mean()
            return self.chain.expect(means, steps).T @ means / self.num_phases
        parts, mean = self.components, self.delta_mean()
        weight = parts.weight / self.num_phases
        second = (parts.centre * weight[:, None]).T @ parts.centre
        return second + weight @ parts.sd**2 * np.eye(self.num_dims) - np.outer(mean, mean)

    def delta_mean(self) -> np.ndarray:
        """See `World`; only `Direction` moves on average."""
        return self.components.weight @ self.components.centre / self.num_phases

    def oracle(self) -> Oracle:
        """See `World`."""
        return WalkOracle(self)

    def phase_means(self) -> np.ndarray:
        """Return E[d | phase], shape [S, D]."""
        parts = self.components
        means = np.zeros((self.num_phases, self.num_dims))
        np.add.at(means, parts.phase, parts.weight[:, None] * parts.centre)
        return means

    def hidden_means(self) -> tuple[Chain, np.ndarray]:
        """See `World`."""
        return self.chain, self.phase_means()

    def swapped_repeats(self, num_frames: float) -> float:
        """See `World`: labels and steps have one period."""
        return num_frames / self.num_phases

    def exact_truths(self, lags_frames: tuple[int, ...]) -> list[Truth]:
        """The ratio of the phase as a key: what an exact state could reach."""
        truths = []
        for lag in lags_frames:
            power = np.linalg.matrix_power(self.chain.matrix(), lag)
            explained = (power @ self.phase_means()).var(axis=0) / self.delta_variance()
            truths.append(Truth("key_ratio", lag, float(1 - explained.mean())))
            if self.num_phases == 1:  # increments are independent: context is worth nothing
                truths += [
                    Truth("information_nats", lag, 0.0),
                    Truth("variance_ratio", lag, 1.0),
                    Truth("cosine", lag, 0.0),
                ]
        return truths


class WalkOracle(Oracle):
    """Forward filter over the phase; the context's increments are its observations."""

    def __init__(self, world: PhaseWalk) -> None:
        """Keep the world."""
        self._world = world

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`; x_t of a walk has no law without a start, so only deltas."""
        if task.space != "delta":
            raise NotImplementedError("a walk is predicted in delta space")
        world, parts = self._world, self._world.components
        if task.lag_frames is None:
            law = np.tile(world.chain.stationary(), (len(task.targets), 1))
        else:
            law = world.chain.advance(self.phase_laws(task)[task.newest()], task.lag_frames)
        return MixturePredictive(law[:, parts.phase] * parts.weight, parts.centre, parts.sd)

    def phase_laws(self, task: Task) -> np.ndarray:
        """Return p(phase_t | frames up to t), shape [N, S]."""
        world, parts = self._world, self._world.components
        steps = np.diff(task.frames, axis=0, prepend=task.frames[:1])
        scores = isotropic_log_densities(steps, parts.centre, parts.sd)
        # components are listed phase by phase, equally many for each
        shaped = scores.reshape(len(steps), world.num_phases, -1)
        peak = shaped.max(axis=(1, 2), keepdims=True)
        weight = parts.weight.reshape(world.num_phases, -1)
        with np.errstate(divide="ignore"):
            log_likelihood = np.log((np.exp(shaped - peak) * weight).sum(axis=2))
        log_likelihood[task.position == 0] = 0.0  # x_0 says nothing about the phase
        return forward_filter(world.chain, log_likelihood, task.lengths)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaleWalk(PhaseWalk):
    """d_t = g n with g drawn per frame from `scales`: shape without anything to predict."""

    num_dims: int = 16
    scales: tuple[float, ...] = (1.0,)

    @property
    def is_mean_linear(self) -> bool:
        """See `World`: steps are independent."""
        return True

    @functools.cached_property
    def components(self) -> Components:
        """See `PhaseWalk`."""
        count = len(self.scales)
        return Components(
            phase=np.zeros(count, dtype=np.int64),
            weight=np.full(count, 1 / count),
            centre=np.zeros((count, self.num_dims)),
            sd=np.array(self.scales),
        )

    def exact_truths(self, lags_frames: tuple[int, ...]) -> list[Truth]:
        """Also the score that a diagonal Gaussian baseline gives away for shape alone."""
        scales = np.array(self.scales)
        weights = np.full(len(scales), 1 / len(scales))
        entropy = scale_mixture_entropy(scales, weights, self.num_dims)
        shape_nats = entropy - diagonal_entropy(self.delta_variance())
        truths = super().exact_truths(lags_frames)
        return truths + [Truth("dnll_diagonal_nats", lag, shape_nats) for lag in lags_frames]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Drift(PhaseWalk):
    """d_t = speed (v_phase - mean v) + n: steps sum to zero over a cycle."""

    num_dims: int = 8
    num_phases: int = 12
    speed: float = 4.0

    @functools.cached_property
    def components(self) -> Components:
        """See `PhaseWalk`."""
        phases = np.arange(self.num_phases)
        ones = np.ones(self.num_phases)
        centred = self.directions - self.directions.mean(axis=0)
        return Components(phases, ones, self.speed * centred, ones)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Bimodal(Drift):
    """d_t = +- speed v_phase + n with a fair sign: structure without a mean."""

    @property
    def is_mean_linear(self) -> bool:
        """See `World`: signs are fair."""
        return True

    @functools.cached_property
    def components(self) -> Components:
        """See `PhaseWalk`."""
        centre = self.speed * self.directions
        both = np.stack([centre, -centre], axis=1).reshape(-1, self.num_dims)
        count = 2 * self.num_phases
        phase = np.repeat(np.arange(self.num_phases), 2)
        return Components(phase, np.full(count, 0.5), both, np.ones(count))


@dataclasses.dataclass(frozen=True, kw_only=True)
class Direction(Drift):
    """d_t = r speed v_phase + n, log r ~ N(mean, sd^2): direction is predictable, length is not."""

    log_length_mean: float = -0.36
    log_length_sd: float = 0.6

    @functools.cached_property
    def components(self) -> Components:
        """See `PhaseWalk`.

        The log-normal is a sum over nodes (trapezoid); neighbouring centres lie closer than the
        noise's standard deviation, so the sum is the integral to many digits.
        """
        reach = LOG_LENGTH_RANGE_SD * self.log_length_sd
        offsets = np.linspace(-reach, reach, 1 + 2 * int(np.ceil(reach / LOG_LENGTH_STEP)))
        weight = np.exp(-0.5 * (offsets / self.log_length_sd) ** 2)
        weight /= weight.sum()
        lengths = self.speed * np.exp(self.log_length_mean + offsets)
        centre = (self.directions[:, None, :] * lengths[:, None]).reshape(-1, self.num_dims)
        return Components(
            phase=np.repeat(np.arange(self.num_phases), len(lengths)),
            weight=np.tile(weight, self.num_phases),
            centre=centre,
            sd=np.ones(len(centre)),
        )

    def draw_increments(self, phase: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Draw from the log-normal itself, not from the oracle's sum."""
        normal = generator.standard_normal(len(phase))
        lengths = self.speed * np.exp(self.log_length_mean + self.log_length_sd * normal)
        noise = generator.standard_normal((len(phase), self.num_dims))
        return lengths[:, None] * self.directions[phase] + noise


@dataclasses.dataclass(frozen=True, kw_only=True)
class Magnitude(PhaseWalk):
    """d_t = rho_phase n, rho log-spaced: only the size of a step is predictable."""

    num_dims: int = 16
    num_phases: int = 8
    smallest: float = 0.3
    largest: float = 3.0

    @property
    def is_mean_linear(self) -> bool:
        """See `World`: steps have no mean."""
        return True

    @functools.cached_property
    def components(self) -> Components:
        """See `PhaseWalk`."""
        return Components(
            phase=np.arange(self.num_phases),
            weight=np.ones(self.num_phases),
            centre=np.zeros((self.num_phases, self.num_dims)),
            sd=np.geomspace(self.smallest, self.largest, self.num_phases),
        )
