"""Linear Gaussian worlds: white noise, AR(1), VAR(1), a state space, overlapping averages.

What context buys is linear here: a memory has nothing to add. Shapes: D dimensions.
"""

import dataclasses
import functools
from typing import ClassVar, Self

import numpy as np

from engram_audio.calibration.kalman import KalmanOracle, StateSpace
from engram_audio.calibration.layout import Speaker
from engram_audio.calibration.oracle import Oracle, Space, Task
from engram_audio.calibration.predictive import MixturePredictive, Predictive
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import SpeakerFrames, World


@dataclasses.dataclass(frozen=True, kw_only=True)
class Autoregression(World):
    """x_t = a x_{t-1} + sqrt(1 - a^2) e_t in each dimension; a = 0 is white noise."""

    IS_LINEAR_GAUSSIAN: ClassVar[bool] = True

    num_dims: int = 16
    correlation: float = 0.0

    def alike(self) -> Self:
        """See `World`."""
        return dataclasses.replace(self, num_dims=1)

    def linear_models(self) -> tuple[str, ...]:
        """See `World`."""
        return "ridge", "ar1"

    @property
    def is_mean_linear(self) -> bool:
        """See `World`: jointly Gaussian."""
        return True

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        model = StateSpace(*(np.eye(1) * value for value in self._scalars()))
        longest = int(speaker.lengths.max())
        # every dimension is a scalar chain of its own, with one common length
        chains = model.simulate(np.full(len(speaker.lengths) * self.num_dims, longest), generator)
        frames = chains.reshape(len(speaker.lengths), self.num_dims, longest).swapaxes(1, 2)
        keep = np.arange(longest) < speaker.lengths[:, None]
        return SpeakerFrames(frames[keep], {})

    def _scalars(self) -> tuple[float, float, float, float]:
        return self.correlation, 1 - self.correlation**2, 1.0, 0.0

    def variance(self, lag_frames: int | None, space: Space) -> float:
        """Return Var(target | context at this lag) of one dimension."""
        a = self.correlation
        if lag_frames is None:
            return 1.0 if space == "position" else 2 * (1 - a)
        if space == "position" or lag_frames == 1:
            return 1 - a ** (2 * lag_frames)
        return (1 - a) ** 2 * (1 - a ** (2 * (lag_frames - 1))) + 1 - a**2

    def autocovariance(self, steps: int) -> np.ndarray:
        """See `World`."""
        return self.correlation**steps * np.eye(self.num_dims)

    def delta_variance(self) -> np.ndarray:
        """See `World`."""
        return np.full(self.num_dims, self.variance(None, "delta"))

    def oracle(self) -> Oracle:
        """See `World`."""
        return AutoregressionOracle(self)

    def exact_truths(self, lags_frames: tuple[int, ...]) -> list[Truth]:
        """See `World`."""
        truths = []
        for lag in lags_frames:
            ratio = self.variance(lag, "delta") / self.variance(None, "delta")
            ratio_position = self.variance(lag, "position")
            information = -0.5 * self.num_dims * np.log(ratio)
            truths += [
                Truth("information_nats", lag, information),
                Truth("dnll_diagonal_nats", lag, -information),
                Truth("variance_ratio", lag, ratio),
                Truth(
                    "information_position_nats", lag, -0.5 * self.num_dims * np.log(ratio_position)
                ),
                Truth("variance_ratio_position", lag, ratio_position),
            ]
        return truths


class AutoregressionOracle(Oracle):
    """Exact predictor of `Autoregression`; all dimensions are alike, so D = 512 costs nothing."""

    def __init__(self, world: Autoregression) -> None:
        """Keep the world."""
        self._world = world

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        a, lag = self._world.correlation, task.lag_frames
        num_targets = len(task.targets)
        sd = np.sqrt([self._world.variance(lag, task.space)])
        shift = np.zeros((num_targets, self._world.num_dims))
        if lag is not None:
            factor = a**lag - (a ** (lag - 1) if task.space == "delta" else 0.0)
            shift = factor * task.frames[task.newest()]
        centre = np.zeros((1, self._world.num_dims))
        return MixturePredictive(np.ones((num_targets, 1)), centre, sd, shift)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LinearGaussian(World):
    """Any stationary linear Gaussian state space; subclasses give the matrices."""

    IS_LINEAR_GAUSSIAN: ClassVar[bool] = True

    # whether a short window already holds what the whole past knows, so that truths are constants
    is_steady: bool = dataclasses.field(default=True, init=False)

    @functools.cached_property
    def model(self) -> StateSpace:
        """The matrices."""
        raise NotImplementedError

    @property
    def is_mean_linear(self) -> bool:
        """See `World`: jointly Gaussian."""
        return True

    def linear_models(self) -> tuple[str, ...]:
        """See `World`."""
        return ("ridge",) if self.is_steady else ()

    def swapped_repeats(self, num_frames: float) -> float:
        """See `World`: a fast rotation repeats every two frames."""
        return num_frames / 2

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        return SpeakerFrames(self.model.simulate(speaker.lengths, generator), {})

    def autocovariance(self, steps: int) -> np.ndarray:
        """See `World`."""
        return self.model.autocovariance(steps)

    def oracle(self) -> Oracle:
        """See `World`."""
        return KalmanOracle(self.model)

    def delta_variance(self) -> np.ndarray:
        """See `World`."""
        return np.diag(self.model.target_covariance(self.model.stationary(), None, "delta"))

    def covariance(self, lag_frames: int | None, space: Space) -> np.ndarray:
        """Return the covariance of the target given a long past up to t - lag, shape [D, D]."""
        return self.model.target_covariance(
            KalmanOracle(self.model).steady_state(), lag_frames, space
        )

    def exact_truths(self, lags_frames: tuple[int, ...]) -> list[Truth]:
        """See `World`."""
        if not self.is_steady:
            return []
        truths = []
        spaces: tuple[tuple[Space, str], ...] = (("delta", ""), ("position", "_position"))
        for space, suffix in spaces:
            marginal = self.covariance(None, space)
            for lag in lags_frames:
                given = self.covariance(lag, space)
                information = 0.5 * (log_determinant(marginal) - log_determinant(given))
                ratios = np.diag(given) / np.diag(marginal)
                truths += [
                    Truth(f"information{suffix}_nats", lag, information),
                    Truth(f"variance_ratio{suffix}", lag, float(ratios.mean())),
                ]
                if space == "delta":
                    diagonal = np.log(np.diag(marginal)).sum()
                    truths += [
                        Truth("dnll_diagonal_nats", lag, 0.5 * (log_determinant(given) - diagonal)),
                        Truth("dnll_diagonal_head_nats", lag, float(0.5 * np.log(ratios).sum())),
                    ]
        return truths


def log_determinant(covariance: np.ndarray) -> float:
    """Return ln det of a positive definite matrix."""
    return float(np.linalg.slogdet(covariance)[1])


def rotations(radius: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Return a block-diagonal matrix of damped rotations, shape [2 n, 2 n]."""
    out = np.zeros((2 * len(radius), 2 * len(radius)))
    for number, (size, turn) in enumerate(zip(radius, angle, strict=True)):
        block = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        out[2 * number : 2 * number + 2, 2 * number : 2 * number + 2] = block
    return out


@dataclasses.dataclass(frozen=True, kw_only=True)
class DampedRotations(LinearGaussian):
    """x_t = A x_{t-1} + n with A made of damped rotations and unit innovations (VAR(1))."""

    num_dims: int = 16
    radii: tuple[float, ...] = (0.579, 0.624, 0.644, 0.853, 0.892, 0.95, 0.888, 0.889)
    angles_rad: tuple[float, ...] = (2.411, 0.758, 0.512, 0.891, 0.154, 0.336, 2.057, 2.086)

    @functools.cached_property
    def model(self) -> StateSpace:
        """See `LinearGaussian`."""
        identity = np.eye(self.num_dims)
        transition = rotations(np.array(self.radii), np.array(self.angles_rad))
        return StateSpace(transition, identity, identity, 0 * identity)


@dataclasses.dataclass(frozen=True, kw_only=True)
class HiddenRotations(LinearGaussian):
    """z_t = A z_{t-1} + w (unit variance, two damped rotations), x_t = C z_t + noise_sd n.

    C has independent normal entries, and C z variance `signal_variance` per dimension on average:
    x has as many predictable dimensions as z has.
    """

    num_dims: int = 24
    radii: tuple[float, ...] = (0.97, 0.9)
    angles_rad: tuple[float, ...] = (0.2, 1.0)
    signal_variance: float = 0.75
    noise_sd: float = 0.5

    @functools.cached_property
    def model(self) -> StateSpace:
        """See `LinearGaussian`."""
        transition = rotations(np.array(self.radii), np.array(self.angles_rad))
        state_noise = np.diag(np.repeat(1 - np.array(self.radii) ** 2, 2))
        output = self.generator("output").standard_normal((self.num_dims, len(transition)))
        output *= np.sqrt(self.signal_variance / len(transition))
        noise = self.noise_sd**2 * np.eye(self.num_dims)
        return StateSpace(transition, state_noise, output, noise)


@dataclasses.dataclass(frozen=True, kw_only=True)
class MovingAverage(LinearGaussian):
    """x_t = (e_t + e_{t-1}) / sqrt 2: neighbours share half of their samples, nothing else.

    The delta at lag 1 is predictable from the shared half alone; about x_t nothing is known from
    lag 2 on. The whole past keeps helping at lag 1 (the average cannot be inverted), so truths at
    lag 1 depend on t and are Monte Carlo.
    """

    num_dims: int = 16
    is_steady: bool = dataclasses.field(default=False, init=False)

    @functools.cached_property
    def model(self) -> StateSpace:
        """See `LinearGaussian`; the state is (e_t, e_{t-1})."""
        identity, zero = np.eye(self.num_dims), np.zeros((self.num_dims, self.num_dims))
        return StateSpace(
            transition=np.block([[zero, zero], [identity, zero]]),
            state_noise=np.block([[identity, zero], [zero, zero]]),
            output=np.hstack([identity, identity]) / np.sqrt(2),
            noise=zero,
        )
