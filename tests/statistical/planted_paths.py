"""What a factorised path of a linear Gaussian state space must score, in closed form.

World: z_t = A z_{t-1} + w, x_t = C z_t + v. The parts of the factoriser are exact: dynamics A with
Q, decoder C, and the best posterior that it can have, q(z_t | z_{t-1}, x_t). z_rec carries a share
of v: x_t = C z_t + b r_t + noise, b^2 + sigma^2 = R. docs/factorizer.md has the derivation.

Shapes: n states, D dimensions.
"""

from typing import NamedTuple

import numpy as np
from scipy.linalg import solve_discrete_lyapunov

from engram_audio.calibration.kalman import KalmanOracle, StateSpace
from engram_audio.numerics.units import LOG_2PI


class Law(NamedTuple):
    """Nats per frame of a path over a long utterance.

    Attributes:
        exact: Entropy of x_t given its past: the best that any law can have.
        plain: Bound of the exact path from one sample of the posterior.
        state_nats: KL of z_dyn in it.
        innovation_nats: KL of z_rec.
    """

    exact: float
    plain: float
    state_nats: float
    innovation_nats: float


def gaussian_nll(covariance: np.ndarray, expected: np.ndarray) -> float:
    """Return the mean NLL under N(0, covariance) of errors whose covariance is `expected`."""
    _, log_det = np.linalg.slogdet(covariance)
    spread = np.trace(np.linalg.solve(covariance, expected))
    return 0.5 * float(len(covariance) * LOG_2PI + log_det + spread)


def predicted(model: StateSpace) -> np.ndarray:
    """Return Cov(z_t | x_<t) after a long past, [n, n]."""
    return model.state_ahead(KalmanOracle(model).steady_state(), 1)


def frame_covariance(model: StateSpace) -> np.ndarray:
    """Return Cov(x_t | x_<t) after a long past, [D, D]."""
    return model.output @ predicted(model) @ model.output.T + model.noise


class Posterior(NamedTuple):
    """q(z_t | z_{t-1}, x_t) along a long utterance: gain [n, D], covariance and error [n, n]."""

    gain: np.ndarray
    covariance: np.ndarray
    error: np.ndarray


def _posterior(model: StateSpace) -> Posterior:
    """Return the best local posterior, and the covariance of its samples' error.

    The error d_t of a sample against the true state follows
    d_t = (I - K C)(A d_{t-1} + w) - K v - e, with K the gain of one frame from N(., Q), and e the
    posterior's own noise.
    """
    local = model.output @ model.state_noise @ model.output.T + model.noise
    gain = np.linalg.solve(local, model.output @ model.state_noise).T
    left = np.eye(len(gain)) - gain @ model.output
    own = left @ model.state_noise
    noise = left @ model.state_noise @ left.T + gain @ model.noise @ gain.T + own
    return Posterior(gain, own, solve_discrete_lyapunov(left @ model.transition, noise))


def exact_law(model: StateSpace, share: float) -> Law:
    """Return what the exact path scores, z_rec carrying a share of the noise's variance."""
    dims = len(model.noise)
    gain, posterior, error = _posterior(model)
    local, told = step_covariances(model)
    moved = gain @ told @ gain.T
    state = _divergence(posterior, model.state_noise, moved)
    residual = _residual(model, error, gain)
    own = (1 - share) * np.eye(dims)
    step = share**0.5 * np.linalg.inv(np.linalg.cholesky(model.noise))
    innovation = _divergence(own, np.eye(dims), step @ residual @ step.T)
    exact = gaussian_nll(frame_covariance(model), frame_covariance(model))
    return Law(exact, gaussian_nll(local, told), state, innovation)


def step_covariances(model: StateSpace) -> tuple[np.ndarray, np.ndarray]:
    """Return Cov(x_t | z_{t-1}), and what x_t is away from the mean of a sampled z_{t-1}."""
    local = model.output @ model.state_noise @ model.output.T + model.noise
    ahead = model.output @ model.transition
    return local, local + ahead @ _posterior(model).error @ ahead.T


def _divergence(own: np.ndarray, prior: np.ndarray, moved: np.ndarray) -> float:
    """Return KL of N(m, own) from N(0, prior), `moved` being E[m m']."""
    return gaussian_nll(prior, own + moved) - gaussian_nll(own, own)


def _residual(model: StateSpace, error: np.ndarray, gain: np.ndarray) -> np.ndarray:
    """Return Cov(x_t - C z_t) of posterior samples z_t: C d_t + v, where d_t holds -K v."""
    output, noise = model.output, model.noise
    cross = output @ gain @ noise
    return output @ error @ output.T + noise - cross - cross.T


def nll_of(law: StateSpace, world: StateSpace) -> float:
    """Return the mean NLL of frames of a world under another state space after a long past."""
    covariance = predicted(law)
    frames = law.output @ covariance @ law.output.T + law.noise
    gain = np.linalg.solve(frames, law.output @ covariance).T
    size, own = len(world.transition), len(law.transition)
    step = law.transition @ gain
    joint = np.block([
        [world.transition, np.zeros((size, own))],
        [step @ world.output, law.transition - step @ law.output],
    ])  # fmt: skip
    noise = np.block([
        [world.state_noise, np.zeros((size, own))],
        [np.zeros((own, size)), step @ world.noise @ step.T],
    ])  # fmt: skip
    both = solve_discrete_lyapunov(joint, noise)
    reads = np.hstack([world.output, -law.output])
    return gaussian_nll(frames, reads @ both @ reads.T + world.noise)


def path_of_means(world: StateSpace) -> StateSpace:
    """Return the path of a generator that was trained on the means of a charged z_dyn."""
    covariance, frames = predicted(world), frame_covariance(world)
    gain = np.linalg.solve(frames, world.output @ covariance).T
    return world._replace(state_noise=gain @ frames @ gain.T)


def path_of_the_past(world: StateSpace) -> StateSpace:
    """Return the path over E[z_t | x_<t], which is strictly of the past: x_t does not move it."""
    moved = world.transition @ path_of_means(world).state_noise @ world.transition.T
    return world._replace(state_noise=moved, noise=frame_covariance(world))
