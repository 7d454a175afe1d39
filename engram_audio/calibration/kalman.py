"""Linear Gaussian state spaces: exact simulation, prediction and information.

z_t = A z_{t-1} + w, w ~ N(0, Q);  x_t = C z_t + v, v ~ N(0, R);  started from stationarity.
Shapes: n states, D dimensions, U utterances, T frames, M targets, G groups.
"""

import functools
from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from engram_audio.calibration.layout import padded, ragged
from engram_audio.calibration.oracle import Oracle, Space, Task
from engram_audio.calibration.predictive import GaussianPredictive, Predictive

STEADY_FRAMES = 400


class StateSpace(NamedTuple):
    """The four matrices: transition [n, n], state_noise [n, n], output [D, n], noise [D, D]."""

    transition: np.ndarray
    state_noise: np.ndarray
    output: np.ndarray
    noise: np.ndarray

    def stationary(self) -> np.ndarray:
        """Return the stationary covariance of the state, shape [n, n]."""
        return solve_discrete_lyapunov(self.transition, self.state_noise)

    def state_ahead(self, covariance: np.ndarray, steps: int) -> np.ndarray:
        """Return the state's covariance `steps` frames ahead of one known up to `covariance`."""
        for _ in range(steps):
            covariance = self.transition @ covariance @ self.transition.T + self.state_noise
        return covariance

    def target_covariance(
        self, filtered: np.ndarray, lag_frames: int | None, space: Space
    ) -> np.ndarray:
        """Return the covariance of delta_t or x_t given frames up to t - lag.

        Args:
            filtered: Covariance of z_{t-lag} given the frames up to it, shape [n, n].
            lag_frames: k, or None for no context (`filtered` is not used).
            space: What is predicted.
        """
        transition, output = self.transition, self.output
        before = (
            self.stationary() if lag_frames is None else self.state_ahead(filtered, lag_frames - 1)
        )
        if space == "position" or lag_frames == 1:
            # at lag 1 x_{t-1} is known, so delta_t is as uncertain as x_t
            return output @ self.state_ahead(before, 1) @ output.T + self.noise
        change = output @ (transition - np.eye(len(transition)))
        return change @ before @ change.T + output @ self.state_noise @ output.T + 2 * self.noise

    def autocovariance(self, steps: int) -> np.ndarray:
        """Return E[x_t x_{t-steps}'], shape [D, D]."""
        power = np.linalg.matrix_power(self.transition, steps)
        signal = self.output @ power @ self.stationary() @ self.output.T
        return signal + (self.noise if steps == 0 else 0)

    def simulate(self, lengths: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """Return one speaker's frames, shape [N, D]."""
        num_utterances, num_frames = len(lengths), int(lengths.max())
        num_states = len(self.transition)
        root = _root(self.state_noise)
        state = generator.standard_normal((num_utterances, num_states)) @ _root(self.stationary()).T
        states = np.empty((num_utterances, num_frames, num_states))
        for frame in range(num_frames):
            states[:, frame] = state
            noise = generator.standard_normal(state.shape)
            state = state @ self.transition.T + noise @ root.T
        frames = ragged(states, lengths) @ self.output.T
        return frames + generator.standard_normal(frames.shape) @ _root(self.noise).T


def _root(covariance: np.ndarray) -> np.ndarray:
    """Return a square root of a covariance that may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0))


class KalmanOracle(Oracle):
    """Exact predictor of a linear Gaussian state space."""

    def __init__(self, model: StateSpace) -> None:
        """Keep the model."""
        self.model = model

    @functools.lru_cache(maxsize=4)  # noqa: B019 (one oracle lives as long as its world)
    def gains(self, num_frames: int) -> tuple[np.ndarray, np.ndarray]:
        """Return Kalman gains [T, n, D] and filtered covariances [T, n, n]."""
        model = self.model
        predicted = model.stationary()
        gains, filtered = [], []
        for _ in range(num_frames):
            innovation = model.output @ predicted @ model.output.T + model.noise
            gain = np.linalg.solve(innovation, model.output @ predicted).T
            current = predicted - gain @ model.output @ predicted
            current = (current + current.T) / 2
            gains.append(gain)
            filtered.append(current)
            predicted = model.state_ahead(current, 1)
        return np.array(gains), np.array(filtered)

    def steady_state(self) -> np.ndarray:
        """Return the filtered covariance after a long past, shape [n, n]."""
        return self.gains(STEADY_FRAMES)[1][-1]

    def filtered_means(self, task: Task) -> np.ndarray:
        """Return E[z_t | x_0 .. x_t] of every frame, shape [N, n]."""
        observed = padded(task.frames, task.lengths)
        gains, _ = self.gains(observed.shape[1])
        model = self.model
        state = np.zeros((len(observed), len(model.transition)))
        means = np.empty((*observed.shape[:2], len(model.transition)))
        for frame, gain in enumerate(gains):
            state = state @ model.transition.T
            state = state + (observed[:, frame] - state @ model.output.T) @ gain.T
            means[:, frame] = state
        return ragged(means, task.lengths)

    def predict(self, task: Task) -> Predictive:
        """See `Oracle.predict`."""
        model, lag = self.model, task.lag_frames
        if lag is None:
            covariance = model.target_covariance(model.stationary(), None, task.space)
            zeros = np.zeros((len(task.targets), task.frames.shape[1]))
            return GaussianPredictive(zeros, covariance[None], np.zeros(len(zeros), dtype=int))
        newest = task.newest()
        _, filtered = self.gains(int(task.lengths.max()))
        state = self.filtered_means(task)[newest]
        power = np.linalg.matrix_power(model.transition, lag - 1)
        before = state @ power.T
        mean = before @ model.transition.T @ model.output.T
        if task.space == "delta":
            last = task.frames[task.targets - 1] if lag == 1 else before @ model.output.T
            mean = mean - last
        group = task.position[newest]
        covariances = np.zeros((len(filtered), mean.shape[1], mean.shape[1]))
        for number in np.unique(group):
            covariances[number] = model.target_covariance(filtered[number], lag, task.space)
        return GaussianPredictive(mean, covariances, group)
