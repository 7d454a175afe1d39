"""Context-free mixtures by expectation maximisation: the strongest same-family marginal.

For diagonal Gaussians and for multivariate t with diagonal scale. EM reaches the family's optimum
faster and closer than gradient steps do, which only makes the null harder to beat.

Shapes: N targets, D dimensions, K components.
"""

from typing import NamedTuple

import numpy as np
import scipy.special

MAXIMUM_ITERATIONS = 200
FREEDOM_GRID = np.array([2.05, 2.3, 2.6, 3, 3.5, 4, 5, 6, 8, 10, 14, 20, 40, 100])


FREEDOM_STEPS = frozenset({4, 9, 19, 39, 79, 119, 159})  # the grid costs as much as ten steps


class MixtureParameters(NamedTuple):
    """Mixture in numbers: weights [K], means and scales [K, D], freedom [K] (inf: normal)."""

    weights: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    freedom: np.ndarray


def squared_distances(z: np.ndarray, mixture: MixtureParameters) -> np.ndarray:
    """Return sum_d ((z_d - mean_kd) / scale_kd)^2, shape [N, K], by two matrix products."""
    precision = 1 / mixture.scales**2
    cross = z @ (mixture.means * precision).T
    constant = (mixture.means**2 * precision).sum(1)
    return np.maximum((z * z) @ precision.T - 2 * cross + constant, 0.0)


def component_log_densities(distances: np.ndarray, mixture: MixtureParameters) -> np.ndarray:
    """Return log (weight x density), shape [N, K], of squared distances."""
    dims = mixture.means.shape[1]
    log_det = np.log(mixture.scales).sum(1)
    normal = -0.5 * distances - 0.5 * dims * np.log(2 * np.pi)
    finite = np.isfinite(mixture.freedom)
    freedom = np.where(finite, mixture.freedom, 1.0)
    student = (
        scipy.special.gammaln((freedom + dims) / 2)
        - scipy.special.gammaln(freedom / 2)
        - 0.5 * dims * np.log(np.pi * freedom)
        - 0.5 * (freedom + dims) * np.log1p(distances / freedom)
    )
    return np.log(mixture.weights) - log_det + np.where(finite, student, normal)


def mean_nll(z: np.ndarray, mixture: MixtureParameters) -> float:
    """Return the mean -log density in nats."""
    joint = component_log_densities(squared_distances(z, mixture), mixture)
    return -float(np.asarray(scipy.special.logsumexp(joint, axis=1)).mean())


def fit_mixture(
    train: np.ndarray,
    choice: np.ndarray,
    num_components: int,
    floor: np.ndarray,
    is_student: bool,
    generator: np.random.Generator,
    minimum_gain: float = 1e-3,
) -> tuple[MixtureParameters, float]:
    """Fit on train until the choice part stops improving; return the best there and its mean NLL.

    Args:
        train: Whitened targets, shape [N, D].
        choice: The same of the choice part.
        num_components: K.
        floor: Smallest scale of each dimension, shape [D].
        is_student: Multivariate t (freedom chosen per component from a grid) or Gaussian.
        generator: Chooses the starting means.
        minimum_gain: Nats on the choice part that ten iterations must bring.
    """
    train, choice = train.astype(np.float64), choice.astype(np.float64)
    mixture = _start(train, num_components, floor, is_student, generator)
    score = mean_nll(choice, mixture)
    best, best_score, checked = mixture, score if np.isfinite(score) else np.inf, np.inf
    for iteration in range(MAXIMUM_ITERATIONS):
        mixture = _step(train, mixture, floor, is_student and iteration in FREEDOM_STEPS)
        score = mean_nll(choice, mixture)
        if np.isfinite(score) and score < best_score:
            best, best_score = mixture, score
        if iteration % 10 == 9:
            if checked - best_score < minimum_gain:
                break
            checked = best_score
    return best, best_score


def _start(
    z: np.ndarray,
    num_components: int,
    floor: np.ndarray,
    is_student: bool,
    generator: np.random.Generator,
) -> MixtureParameters:
    """Start at spread-out points: half random targets, half shrunk copies of the whole cloud."""
    dims = z.shape[1]
    rows = generator.choice(len(z), size=num_components, replace=len(z) < num_components)
    centre, spread = z.mean(0), np.maximum(z.std(0), floor)
    pull = np.where(np.arange(num_components) % 2 == 0, 0.1, 0.8)[:, None]
    width = np.where(np.arange(num_components) % 4 < 2, 0.6, 1.0)[:, None]
    return MixtureParameters(
        weights=np.full(num_components, 1 / num_components),
        means=centre + pull * (z[rows] - centre),
        scales=np.maximum(np.broadcast_to(width * spread, (num_components, dims)), floor),
        freedom=np.full(num_components, 6.0 if is_student else np.inf),
    )


def _step(
    z: np.ndarray, mixture: MixtureParameters, floor: np.ndarray, updates_freedom: bool
) -> MixtureParameters:
    dims = z.shape[1]
    distances = squared_distances(z, mixture)
    joint = component_log_densities(distances, mixture)
    responsibility = np.exp(joint - scipy.special.logsumexp(joint, axis=1, keepdims=True))
    mass = responsibility.sum(0) + 1e-6
    finite = np.isfinite(mixture.freedom)
    freedom = np.where(finite, mixture.freedom, 1.0)
    # EM weight of a t: far points count less; 1 for a Gaussian.
    robust = np.where(finite, (freedom + dims) / (freedom + distances), 1.0)
    weighted = responsibility * robust
    total = weighted.sum(0)[:, None] + 1e-6
    means = weighted.T @ z / total
    second = weighted.T @ (z * z) / total
    # The scale's own normaliser is the unweighted mass.
    variance = np.maximum(second - means**2, 0) * (total / mass[:, None])
    new = MixtureParameters(
        weights=mass / mass.sum(),
        means=means,
        scales=np.maximum(np.sqrt(variance), floor),
        freedom=mixture.freedom,
    )
    return _with_freedom(z, new, responsibility) if updates_freedom else new


def _with_freedom(
    z: np.ndarray, mixture: MixtureParameters, responsibility: np.ndarray
) -> MixtureParameters:
    """Choose each component's freedom from the grid by its expected log-likelihood."""
    distances = squared_distances(z, mixture)
    values = np.empty((len(FREEDOM_GRID), len(mixture.weights)))
    for row, freedom in enumerate(FREEDOM_GRID):
        trial = mixture._replace(freedom=np.full(len(mixture.weights), freedom))
        values[row] = (responsibility * component_log_densities(distances, trial)).sum(0)
    return mixture._replace(freedom=FREEDOM_GRID[values.argmax(0)])
