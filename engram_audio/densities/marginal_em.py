"""Context-free mixtures by expectation maximisation: the strongest same-family marginal.

For diagonal Gaussians and for multivariate t with diagonal scale. EM reaches the family's optimum
faster and closer than gradient steps do, which only makes the null harder to beat.

Shapes: N targets, D dimensions, K components. Components come first, so that what a component has
one number of meets long rows.
"""

from typing import NamedTuple

import numpy as np
import scipy.special

from engram_audio.numerics.log_sums import log_sum_exp_of_rows

MAXIMUM_ITERATIONS = 200
MINIMUM_FREEDOM, FREEDOM_MARGIN = 2.0, 1e-3  # a Student-t has a variance only above 2
FREEDOM_GRID = np.array([2.05, 2.3, 2.6, 3, 3.5, 4, 5, 6, 8, 10, 14, 20, 40, 100])
FREEDOM_STEPS = frozenset({4, 9, 19, 39, 79, 119, 159})  # the grid costs as much as ten steps
NORMAL_NATS = 1e-3  # what a t may lose on normal data and still count as normal


def nearly_normal_freedom(num_dims: int, num_copies: int) -> float:
    """Return degrees of freedom at which t lose about a thousandth of a nat on N(0, I).

    A t of D dimensions at its best scale loses D (D + 2) / (4 freedom^2) nats to second order: the
    more dimensions, the longer a tail stays visible.

    Args:
        num_dims: D.
        num_copies: Independent t side by side.
    """
    needed = np.sqrt(num_copies * num_dims * (num_dims + 2) / (4 * NORMAL_NATS))
    return max(float(needed), MINIMUM_FREEDOM + 20)


def freedom_grid(num_dims: int) -> np.ndarray:
    """Return the degrees of freedom that are tried: from heavy tails to nearly normal ones."""
    largest = nearly_normal_freedom(num_dims, 1)
    num_doublings = int(np.ceil(np.log2(max(largest / FREEDOM_GRID[-1], 1))))
    further = np.geomspace(FREEDOM_GRID[-1], largest, num_doublings + 1)[1:]
    return np.concatenate([FREEDOM_GRID, further])


class MixtureParameters(NamedTuple):
    """Mixture in numbers: weights [K], means and scales [K, D], freedom [K] (all inf: normal)."""

    weights: np.ndarray
    means: np.ndarray
    scales: np.ndarray
    freedom: np.ndarray

    @property
    def is_student(self) -> bool:
        """Whether the components are t, not normal."""
        return bool(np.isfinite(self.freedom).all())


class Points(NamedTuple):
    """Points [N, D] in float64 and their squares, which every iteration asks for."""

    z: np.ndarray
    squares: np.ndarray


def make_points(z: np.ndarray) -> Points:
    """Take points of any precision."""
    z = z.astype(np.float64)
    return Points(z, z * z)


def squared_distances(points: Points, mixture: MixtureParameters) -> np.ndarray:
    """Return sum_d ((z_d - mean_kd) / scale_kd)^2, shape [K, N], by two matrix products."""
    precision = 1 / mixture.scales**2
    product = points.squares @ precision.T
    product -= 2 * (points.z @ (mixture.means * precision).T)
    distances = np.ascontiguousarray(product.T)
    distances += (mixture.means**2 * precision).sum(1)[:, None]
    return np.maximum(distances, 0.0, out=distances)


def component_log_densities(distances: np.ndarray, mixture: MixtureParameters) -> np.ndarray:
    """Return log (weight x density), shape [K, N], of squared distances."""
    dims = mixture.means.shape[1]
    log_density = _log_student if mixture.is_student else _log_normal
    joint = log_density(distances, mixture.freedom[:, None], dims)
    joint += (np.log(mixture.weights) - np.log(mixture.scales).sum(1))[:, None]
    return joint


def _log_normal(distances: np.ndarray, freedom: np.ndarray, dims: int) -> np.ndarray:
    del freedom
    values = -0.5 * distances
    values -= 0.5 * dims * np.log(2 * np.pi)
    return values


def _log_student(distances: np.ndarray, freedom: np.ndarray, dims: int) -> np.ndarray:
    values = distances / freedom
    np.log1p(values, out=values)
    values *= 0.5 * (freedom + dims)
    constant = (
        scipy.special.gammaln((freedom + dims) / 2)
        - scipy.special.gammaln(freedom / 2)
        - 0.5 * dims * np.log(np.pi * freedom)
    )
    return np.subtract(constant, values, out=values)


def mean_nll(points: Points, mixture: MixtureParameters) -> float:
    """Return the mean -log density in nats."""
    joint = component_log_densities(squared_distances(points, mixture), mixture)
    return -float(log_sum_exp_of_rows(joint).mean())


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
    points, unseen = make_points(train), make_points(choice)
    mixture = _start(points.z, num_components, floor, is_student, generator)
    score = mean_nll(unseen, mixture)
    best, best_score, checked = mixture, score if np.isfinite(score) else np.inf, np.inf
    for iteration in range(MAXIMUM_ITERATIONS):
        mixture = _step(points, mixture, floor, is_student and iteration in FREEDOM_STEPS)
        score = mean_nll(unseen, mixture)
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
    points: Points, mixture: MixtureParameters, floor: np.ndarray, updates_freedom: bool
) -> MixtureParameters:
    distances = squared_distances(points, mixture)
    joint = component_log_densities(distances, mixture)
    joint -= log_sum_exp_of_rows(joint)
    responsibility = np.exp(joint, out=joint)
    by_target = np.ascontiguousarray(responsibility.T)  # BLAS and sums then go target by target
    sums = by_target.sum(0)
    mass = sums + 1e-6
    if mixture.is_student:  # a normal weighs all points the same
        weighted = responsibility * _robust_weights(distances, mixture)
        by_target = np.ascontiguousarray(weighted.T)
        sums = by_target.sum(0)
    total = sums[:, None] + 1e-6
    means = by_target.T @ points.z / total
    second = by_target.T @ points.squares / total
    # By the weights' sum, not by the mass (parameter-expanded EM, Liu et al. 1998). Both end where
    # the mean weight is 1. By the mass, a scale moves by nu / (nu + D) of its way in a step.
    variance = np.maximum(second - means**2, 0)
    new = MixtureParameters(
        weights=mass / mass.sum(),
        means=means,
        scales=np.maximum(np.sqrt(variance), floor),
        freedom=mixture.freedom,
    )
    return _with_freedom(points, new, responsibility) if updates_freedom else new


def _robust_weights(distances: np.ndarray, mixture: MixtureParameters) -> np.ndarray:
    """Return the EM weights of a t, [K, N]: far points count less."""
    freedom = mixture.freedom[:, None]
    return (freedom + mixture.means.shape[1]) / (freedom + distances)


def _with_freedom(
    points: Points, mixture: MixtureParameters, responsibility: np.ndarray
) -> MixtureParameters:
    """Choose each component's freedom from the grid by its expected log-likelihood."""
    distances = squared_distances(points, mixture)
    grid = freedom_grid(mixture.means.shape[1])
    values = np.empty((len(grid), len(mixture.weights)))
    for row, freedom in enumerate(grid):
        trial = mixture._replace(freedom=np.full(len(mixture.weights), freedom))
        expected = responsibility * component_log_densities(distances, trial)
        values[row] = np.ascontiguousarray(expected.T).sum(0)
    return mixture._replace(freedom=grid[values.argmax(0)])
