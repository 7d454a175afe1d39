"""A walk whose step size wanders: structure in the spread only.

Shapes: G grid points, N frames, M targets, D dimensions.
"""

import dataclasses
import functools
from typing import NamedTuple

import numpy as np
from scipy.special import ndtr

from engram_audio.calibration.chains import forward_filter
from engram_audio.calibration.layout import Speaker, padded, ragged
from engram_audio.calibration.oracle import Oracle, Task
from engram_audio.calibration.predictive import (
    MixturePredictive,
    Predictive,
    isotropic_log_densities,
)
from engram_audio.calibration.truth import Truth
from engram_audio.calibration.world import SpeakerFrames, World
from engram_audio.calibration.worlds_walk import START_SD

GRID_POINTS = 201
GRID_RANGE_SD = 6.0


class LogScaleGrid(NamedTuple):
    """The AR(1) of log squared scales on a grid.

    Attributes:
        values: h, shape [G].
        transition: Probability of each cell given the point before, shape [G, G].
        probability: Stationary law, shape [G].
    """

    values: np.ndarray
    transition: np.ndarray
    probability: np.ndarray

    def stationary(self) -> np.ndarray:
        """See `chains.HiddenLaw`."""
        return self.probability

    def advance(self, law: np.ndarray, steps: int = 1) -> np.ndarray:
        """See `chains.HiddenLaw`."""
        for _ in range(steps):
            law = law @ self.transition
        return law


@dataclasses.dataclass(frozen=True, kw_only=True)
class StochasticVolatility(World):
    """d_t = exp(h_t / 2) n, h_t = persistence h_{t-1} + volatility_sd e; one h for all dimensions.

    The exact predictor filters h on a grid of 201 points over 6 stationary deviations. A particle
    filter agrees with it (a test compares them).
    """

    num_dims: int = 8
    persistence: float = 0.95
    volatility_sd: float = 0.3

    @property
    def log_scale_sd(self) -> float:
        """Stationary deviation of h."""
        return float(self.volatility_sd / np.sqrt(1 - self.persistence**2))

    @functools.cached_property
    def grid(self) -> LogScaleGrid:
        """The hidden process."""
        reach = GRID_RANGE_SD * self.log_scale_sd
        values = np.linspace(-reach, reach, GRID_POINTS)
        edges = np.concatenate([[-np.inf], (values[1:] + values[:-1]) / 2, [np.inf]])
        after = (edges - self.persistence * values[:, None]) / self.volatility_sd
        return LogScaleGrid(
            values, np.diff(ndtr(after), axis=1), np.diff(ndtr(edges / self.log_scale_sd))
        )

    @property
    def is_mean_linear(self) -> bool:
        """See `World`: the sign of a step is fair."""
        return True

    def simulate_speaker(self, speaker: Speaker, generator: np.random.Generator) -> SpeakerFrames:
        """See `World`."""
        shape = (len(speaker.lengths), int(speaker.lengths.max()))
        log_scale = np.empty(shape)
        value = self.log_scale_sd * generator.standard_normal(shape[0])
        for frame in range(shape[1]):
            log_scale[:, frame] = value
            noise = generator.standard_normal(shape[0])
            value = self.persistence * value + self.volatility_sd * noise
        log_scale = ragged(log_scale, speaker.lengths)
        noise = generator.standard_normal((len(log_scale), self.num_dims))
        steps = padded(np.exp(log_scale / 2)[:, None] * noise, speaker.lengths)
        steps[:, 0] = START_SD * generator.standard_normal((shape[0], self.num_dims))
        frames = ragged(np.cumsum(steps, axis=1), speaker.lengths)
        return SpeakerFrames(frames, {"log_scale": log_scale})

    def delta_variance(self) -> np.ndarray:
        """See `World`: E[exp h] of a log-normal."""
        return np.full(self.num_dims, np.exp(self.log_scale_sd**2 / 2))

    def oracle(self) -> Oracle:
        """See `World`."""
        return VolatilityOracle(self)

    def exact_truths(self, lags_frames: tuple[int, ...]) -> list[Truth]:
        """The sign of a step is fair whatever the past: nothing is known of its mean."""
        return [Truth("variance_ratio", lag, 1.0) for lag in lags_frames] + [
            Truth("cosine", lag, 0.0) for lag in lags_frames
        ]


class VolatilityOracle(Oracle):
    """Forward filter over the log squared scale."""

    def __init__(self, world: StochasticVolatility) -> None:
        """Keep the world."""
        self._world = world

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        if task.space == "position":
            raise NotImplementedError("a walk has no stationary law of x_t")
        grid = self._world.grid
        centres = np.zeros((len(grid.values), self._world.num_dims))
        sd = np.exp(grid.values / 2)
        if task.lag_frames is None:
            law = np.tile(grid.stationary(), (len(task.targets), 1))
        else:
            steps = np.diff(task.frames, axis=0, prepend=task.frames[:1])
            scores = isotropic_log_densities(steps, centres, sd)
            scores[task.position == 0] = 0.0  # x_0 says nothing about the scale
            laws = forward_filter(grid, scores, task.lengths)[task.newest()]
            law = grid.advance(laws, task.lag_frames)
        return MixturePredictive(law, centres, sd)
