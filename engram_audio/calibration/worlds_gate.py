"""Worlds that once deceived the gate: linear ones with a long memory, and speakers that differ.

In the jointly Gaussian ones E[x | context] is linear, so a lookup adds nothing to a linear model.
Shapes: D dimensions, N frames, M targets, G grid points of a coefficient.
"""

import dataclasses
import functools

import numpy as np

from engram_audio.calibration.kalman import StateSpace
from engram_audio.calibration.layout import Speaker
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import Predictive
from engram_audio.calibration.world import SpeakerFrames, World
from engram_audio.calibration.worlds_linear import Autoregression, LinearGaussian, rotations
from engram_audio.numerics.log_sums import log_sum_exp
from engram_audio.numerics.units import LOG_2PI

COEFFICIENT_POINTS = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Seasonal(LinearGaussian):
    """x_t = correlation x_{t-period} + e_t in each dimension: a VAR of low order sees nothing."""

    num_dims: int = 4
    period: int = 7
    correlation: float = 0.95

    @functools.cached_property
    def model(self) -> StateSpace:
        """See `LinearGaussian`; the state is (x_t, .., x_{t-period+1}), newest first."""
        identity = np.eye(self.num_dims)
        transition = np.eye(self.period * self.num_dims, k=-self.num_dims)
        transition[: self.num_dims, -self.num_dims :] = self.correlation * identity
        output = np.eye(self.num_dims, self.period * self.num_dims)
        return StateSpace(transition, output.T @ output, output, 0 * identity)


class SineStates(StateSpace):
    """Undamped rotations: any law is stationary that weighs sine and cosine alike."""

    def stationary(self) -> np.ndarray:
        """Return the law of the amplitudes, shape [n, n]: their output has variance 1."""
        power = (self.output**2).sum(axis=1).mean()
        return np.eye(len(self.transition)) / power


@dataclasses.dataclass(frozen=True, kw_only=True)
class Sines(LinearGaussian):
    """x_t = sum_j (a_j cos w_j t + b_j sin w_j t) + noise_sd n, a_j, b_j ~ N(0, I / J).

    The J frequencies are those of all utterances, the amplitudes are drawn for each one. The past
    tells ever more about the amplitudes, so truths are Monte Carlo.
    """

    num_dims: int = 8
    frequencies_rad: tuple[float, ...] = (0.37, 0.9, 2.1)
    noise_sd: float = 0.3
    is_steady: bool = dataclasses.field(default=False, init=False)

    @functools.cached_property
    def model(self) -> StateSpace:
        """See `LinearGaussian`."""
        count = len(self.frequencies_rad)
        turn = rotations(np.ones(count), np.array(self.frequencies_rad))
        identity = np.eye(self.num_dims)
        transition = np.kron(identity, turn)
        output = np.kron(identity, np.tile([1.0, 0.0], count))
        noise = self.noise_sd**2 * identity
        return SineStates(transition, 0 * transition, output, noise)


@dataclasses.dataclass(frozen=True, kw_only=True)
class SpeakerAutoregression(World):
    """x_t = a_s x_{t-1} + sqrt(1 - a_s^2) e_t, with a coefficient a_s of each speaker's own.

    a_s is uniform between `smallest` and `largest`, or with `is_signed` one of the two. The mean
    given the context is linear up to what the context tells about a_s.
    """

    num_dims: int = 16
    smallest: float = 0.05
    largest: float = 0.98
    is_signed: bool = False

    def coefficient(self, speaker_id: str) -> float:
        """Return a_s."""
        generator = self.generator("coefficient", speaker_id)
        if self.is_signed:
            return float(generator.choice([self.smallest, self.largest]))
        return float(generator.uniform(self.smallest, self.largest))

    @functools.cached_property
    def grid(self) -> np.ndarray:
        """Possible coefficients, equally likely, shape [G]."""
        if self.is_signed:
            return np.array([self.smallest, self.largest])
        edges = np.linspace(self.smallest, self.largest, COEFFICIENT_POINTS + 1)
        return (edges[1:] + edges[:-1]) / 2

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        correlation = self.coefficient(speaker.speaker_id)
        one = Autoregression(seed=self.seed, num_dims=self.num_dims, correlation=correlation)
        return one.simulate_speaker(speaker, generator)

    def autocovariance(self, steps: int) -> np.ndarray:
        """See `World`: E[a^steps] over speakers."""
        low, high = self.smallest, self.largest
        if self.is_signed:
            power = (low**steps + high**steps) / 2
        else:
            power = (high ** (steps + 1) - low ** (steps + 1)) / ((steps + 1) * (high - low))
        return power * np.eye(self.num_dims)

    def delta_variance(self) -> np.ndarray:
        """See `World`."""
        return 2 * np.diag(self.autocovariance(0) - self.autocovariance(1))

    def oracle(self) -> Oracle:
        """See `World`; it infers the coefficient from the past of the utterance."""
        return CoefficientOracle(self)


class CoefficientOracle(Oracle):
    """Posterior over a grid of coefficients given the frames of the utterance so far."""

    def __init__(self, world: SpeakerAutoregression) -> None:
        """Keep the world."""
        self._world = world

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        world, lag = self._world, task.lag_frames
        grid, num_dims = world.grid, world.num_dims
        ones = [Autoregression(seed=0, num_dims=num_dims, correlation=float(a)) for a in grid]
        sd = np.sqrt([one.variance(lag, task.space) for one in ones])
        if lag is None:
            shift = np.zeros((len(task.targets), num_dims))
            weights = np.full((len(shift), len(grid)), 1 / len(grid))
            return ScaledMixture(weights, np.zeros(len(grid)), sd, shift)
        factors = grid**lag - (grid ** (lag - 1) if task.space == "delta" else 0.0)
        newest = task.newest()
        return ScaledMixture(self._posterior(task)[newest], factors, sd, task.frames[newest])

    def _posterior(self, task: Task) -> np.ndarray:
        """Return p(a | frames of the utterance up to t), shape [N, G]."""
        grid = self._world.grid
        before = np.roll(task.frames, 1, axis=0)
        products = [(task.frames**2).sum(1), (task.frames * before).sum(1), (before**2).sum(1)]
        own, cross, last = (values[:, None] for values in products)
        variance = 1 - grid**2
        scores = -0.5 * (own - 2 * grid * cross + grid**2 * last) / variance
        scores -= 0.5 * task.frames.shape[1] * np.log(variance)
        scores[task.position == 0] = 0.0  # x_0 has the same law whatever the coefficient
        total = np.cumsum(scores, axis=0)
        starts = np.flatnonzero(task.position == 0)
        total -= np.repeat(total[starts], task.lengths, axis=0)
        return np.exp(total - log_sum_exp(total, axis=1, keepdims=True))


class ScaledMixture(Predictive):
    """Mixtures of Gaussians around multiples of one vector: sum_g w_g N(f_g shift, sd_g^2 I)."""

    def __init__(
        self, weights: np.ndarray, factors: np.ndarray, sd: np.ndarray, shift: np.ndarray
    ) -> None:
        """Keep weights [M, G], factors [G], standard deviations [G] and shifts [M, D]."""
        self._weights, self._factors, self._sd, self._shift = weights, factors, sd, shift

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """See `Predictive`."""
        products = [values**2, values * self._shift, self._shift**2]
        own, cross, scale = (product.sum(axis=1)[:, None] for product in products)
        squares = own - 2 * self._factors * cross + self._factors**2 * scale
        log_parts = -0.5 * squares / self._sd**2
        log_parts -= values.shape[1] * (np.log(self._sd) + 0.5 * LOG_2PI)
        with np.errstate(divide="ignore"):
            return np.asarray(log_sum_exp(log_parts + np.log(self._weights), axis=1))

    def mean(self) -> np.ndarray:
        """See `Predictive`."""
        return (self._weights @ self._factors)[:, None] * self._shift

    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """See `Predictive`."""
        cumulative = np.cumsum(self._weights, axis=1)
        out = np.empty((num_samples, *self._shift.shape))
        for number in range(num_samples):
            uniform = generator.random(len(cumulative)) * cumulative[:, -1]
            chosen = (cumulative <= uniform[:, None]).sum(axis=1).clip(max=len(self._factors) - 1)
            noise = generator.standard_normal(self._shift.shape)
            out[number] = self._factors[chosen, None] * self._shift + self._sd[chosen, None] * noise
        return out
