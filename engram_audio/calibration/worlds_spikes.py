"""A linear world whose innovation is now and then many times too large.

Means of log scores explode on it, medians and Student-t heads do not. Shapes: D dimensions.
"""

import dataclasses
import functools
import itertools

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from engram_audio.calibration.layout import Speaker, ragged
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import GaussianPredictive, Predictive
from engram_audio.calibration.radial import diagonal_entropy, scale_mixture_entropy
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import SpeakerFrames, World
from engram_audio.calibration.worlds_linear import rotations
from engram_audio.numerics.log_sums import log_sum_exp

MAXIMUM_SPIKES = 2  # in the k frames that are predicted over; more have probability < (k p)^3 / 6
BURN_IN_FRAMES = 200


@dataclasses.dataclass(frozen=True, kw_only=True)
class Spikes(World):
    """x_t = A x_{t-1} + g_t n with g_t = `scale` with probability `probability`, else 1.

    With `is_guaranteed`, the first speaker of each split has at least one spike (in the middle of
    the first utterance), so that small samples of very rare spikes still hold one.
    """

    num_dims: int = 16
    radii: tuple[float, ...] = (0.579, 0.624, 0.644, 0.853, 0.892, 0.95, 0.888, 0.889)
    angles_rad: tuple[float, ...] = (2.411, 0.758, 0.512, 0.891, 0.154, 0.336, 2.057, 2.086)
    scale: float = 60.0
    probability: float = 1e-3
    is_guaranteed: bool = False

    @functools.cached_property
    def transition(self) -> np.ndarray:
        """A, shape [D, D]."""
        return rotations(np.array(self.radii), np.array(self.angles_rad))

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`; a burn-in reaches the stationary law, which has no simpler form."""
        lengths = speaker.lengths
        shape = (len(lengths), BURN_IN_FRAMES + int(lengths.max()))
        is_spike = generator.random(shape) < self.probability
        if self.is_guaranteed and speaker.number == 0:
            is_spike[0, BURN_IN_FRAMES + int(lengths[0]) // 2] = True
        noise = generator.standard_normal((*shape, self.num_dims))
        noise *= np.where(is_spike, self.scale, 1.0)[..., None]
        state = np.zeros((shape[0], self.num_dims))
        frames = np.empty((shape[0], int(lengths.max()), self.num_dims))
        for frame in range(shape[1]):
            state = state @ self.transition.T + noise[:, frame]
            if frame >= BURN_IN_FRAMES:
                frames[:, frame - BURN_IN_FRAMES] = state
        hidden = {"is_spike": ragged(is_spike[:, BURN_IN_FRAMES:], lengths)}
        return SpeakerFrames(ragged(frames, lengths), hidden)

    def innovation_variance(self) -> float:
        """Var of one innovation, spikes included."""
        return 1 + self.probability * (self.scale**2 - 1)

    def delta_variance(self) -> np.ndarray:
        """See `World`."""
        identity = np.eye(self.num_dims)
        stationary = solve_discrete_lyapunov(self.transition, identity)
        change = self.transition - identity
        return self.innovation_variance() * np.diag(change @ stationary @ change.T + identity)

    def oracle(self) -> Oracle:
        """See `World`."""
        return SpikesOracle(self)

    def exact_truths(self, lags_frames: tuple[int, ...]) -> list[Truth]:
        """At lag 1 the exact predictor's NLL is the entropy of one innovation."""
        if 1 not in lags_frames:
            return []
        scales = np.array([1.0, self.scale])
        weights = np.array([1 - self.probability, self.probability])
        entropy = scale_mixture_entropy(scales, weights, self.num_dims)
        diagonal = diagonal_entropy(self.delta_variance())
        return [
            Truth("nll_nats", 1, entropy),
            Truth("nll_diagonal_marginal_nats", 1, diagonal),
            Truth("dnll_diagonal_nats", 1, entropy - diagonal),
        ]


class SpikesOracle(Oracle):
    """Sum over which of the k innovations since the context were spikes; the state is observed."""

    def __init__(self, world: Spikes) -> None:
        """Keep the world."""
        self._world = world

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`; the stationary law has no finite form, so no marginal."""
        world, lag = self._world, task.lag_frames
        if lag is None:
            raise NotImplementedError("the stationary law of a spiky world has no finite form")
        identity = np.eye(world.num_dims)
        powers = [np.linalg.matrix_power(world.transition, power) for power in range(lag + 1)]
        loads, mean_map = powers[:lag][::-1], powers[lag]
        if task.space == "delta":
            # innovation of frame t - j reaches x_t by A^j and, for j >= 1, x_{t-1} by A^{j-1}
            loads = [identity] + [powers[j] - powers[j - 1] for j in range(1, lag)]
            mean_map = powers[lag] - powers[lag - 1]
        mean = task.frames[task.newest()] @ mean_map.T
        log_weights, covariances = [], []
        squares = [load @ load.T for load in loads]
        for count in range(min(lag, MAXIMUM_SPIKES) + 1):
            for spiked in itertools.combinations(range(lag), count):
                scale = np.ones(lag)
                scale[list(spiked)] = world.scale**2
                covariances.append(np.tensordot(scale, np.array(squares), axes=1))
                log_weights.append(
                    count * np.log(world.probability) + (lag - count) * np.log1p(-world.probability)
                )
        weights = np.array(log_weights) - log_sum_exp(np.array(log_weights), axis=0)
        return CommonMeanMixture(mean, np.array(covariances), weights)


class CommonMeanMixture(Predictive):
    """Mixture of Gaussians that differ in covariance only; weights are shared by all targets."""

    def __init__(self, mean: np.ndarray, covariances: np.ndarray, log_weights: np.ndarray) -> None:
        """Keep means [M, D], covariances [K, D, D] and log weights [K]."""
        self._mean, self._covariances, self._log_weights = mean, covariances, log_weights
        self._parts = [
            GaussianPredictive(mean, covariance[None], np.zeros(len(mean), dtype=int))
            for covariance in covariances
        ]

    def log_density(self, values: np.ndarray) -> np.ndarray:
        """See `Predictive`."""
        parts = [part.log_density(values) for part in self._parts]
        return log_sum_exp(np.array(parts) + self._log_weights[:, None], axis=0)

    def mean(self) -> np.ndarray:
        """See `Predictive`."""
        return self._mean

    def sample(self, generator: np.random.Generator, num_samples: int) -> np.ndarray:
        """See `Predictive`."""
        shape = (num_samples, *self._mean.shape)
        chosen = generator.choice(
            len(self._log_weights), size=shape[:2], p=np.exp(self._log_weights)
        )
        noise = generator.standard_normal(shape)
        for number in np.unique(chosen):
            factor = np.linalg.cholesky(self._covariances[number])
            noise[chosen == number] = noise[chosen == number] @ factor.T
        return self._mean + noise
