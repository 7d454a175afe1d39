"""Linear nulls from streamed second moments: marginals, AR(1), VAR / ridge at every lag.

One pass gives C_{ij} = sum_t x_{t-i} x_{t-j}^T over all targets t for 0 <= i <= j <= J, and with it
every lag, order and ridge, and their exact score on the choice part. The pass uses the shift
C_{i+1,j+1} = C_{i,j} + (row before each run) - (last row of each run), so that J + 1 products of
whole blocks suffice; no window is ever built.

Shapes: N frames, M targets, R runs, D dimensions, J largest offset, p order.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engram_audio import windows
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.numerics.units import LOG_2PI
from engram_audio.stats.floors import SD_SHARE, floored_variance, own_square


class LaggedMoments:
    """Sums over targets of x_{t-i} and x_{t-i} x_{t-j}^T, i <= j <= J, float64.

    Memory: (J + 1)^2 D^2 doubles (0.5 GB at D = 512, W = 8, lag 8).
    """

    def __init__(self, num_dims: int, largest_offset: int, centre: np.ndarray) -> None:
        """Start empty; `centre` [D] is subtracted from every frame, for conditioning."""
        size = largest_offset + 1
        self.num_dims, self.largest_offset, self.centre = num_dims, largest_offset, centre
        self.count = 0
        self.sums = np.zeros((size, num_dims))
        self.products = np.zeros((size, size, num_dims, num_dims))

    def add(self, frames: np.ndarray, offsets: np.ndarray, targets: np.ndarray) -> None:
        """Add the targets of a block; every target must have `largest_offset` frames before it."""
        if len(targets) == 0:
            return
        x = frames.astype(np.float64) - self.centre
        runs = windows.consecutive_runs(offsets, targets)
        self.count += len(targets)
        current = x[targets]
        for shift in range(self.largest_offset + 1):
            shifted = x[targets - shift]
            self.sums[shift] += shifted.sum(0)
            self._add_diagonal(x, runs, shift, current.T @ shifted)

    def _add_diagonal(
        self, x: np.ndarray, runs: windows.Runs, shift: int, product: np.ndarray
    ) -> None:
        self.products[0, shift] += product
        for i in range(self.largest_offset - shift):
            entering = x[runs.start - 1 - i].T @ x[runs.start - 1 - i - shift]
            leaving = x[runs.stop - 1 - i].T @ x[runs.stop - 1 - i - shift]
            product = product + entering - leaving
            self.products[i + 1, i + 1 + shift] += product

    def block(self, i: int, j: int) -> np.ndarray:
        """Return the sum of x_{t-i} x_{t-j}^T, shape [D, D]."""
        return self.products[i, j] if i <= j else self.products[j, i].T

    def mean(self, offset: int) -> np.ndarray:
        """Return the mean of x_{t-offset} less the centre, shape [D]."""
        return self.sums[offset] / self.count

    def augmented(self, lag_frames: int, order: int) -> np.ndarray:
        """Return the mean of v v^T for v = (1, newest, steps, x_t, x_{t-1}).

        `newest` is x_{t-k}, the steps are x_{t-k-i} - x_{t-k-i-1}, all less the centre where it
        does not cancel; shape [1 + (p + 2) D] squared.
        """
        offsets = [lag_frames + i for i in range(order)] + [0, 1]
        count, dims = len(offsets), self.num_dims
        full = np.empty((1 + count * dims, 1 + count * dims))
        full[0, 0] = self.count
        for a, i in enumerate(offsets):
            rows = slice(1 + a * dims, 1 + (a + 1) * dims)
            full[0, rows] = full[rows, 0] = self.sums[i]
            for b, j in enumerate(offsets):
                full[rows, 1 + b * dims : 1 + (b + 1) * dims] = self.block(i, j)
        full /= self.count
        return _to_steps(full, order, dims)


def _to_steps(full: np.ndarray, order: int, dims: int) -> np.ndarray:
    """Replace frame i >= 1 of the context by frame i - 1 less frame i, on rows and columns."""
    for matrix in (full, full.T):
        for i in range(order - 1, 0, -1):
            rows = slice(1 + i * dims, 1 + (i + 1) * dims)
            before = slice(1 + (i - 1) * dims, 1 + i * dims)
            matrix[rows] = matrix[before] - matrix[rows]
    return full


class LinearFit(NamedTuple):
    """A linear-Gaussian null and its exact mean score on the choice part.

    Attributes:
        arrays: Its numbers.
        choice_nll: Mean -log density on the choice part, nats per frame.
        order: Frames of context used.
        ridge: Relative ridge.
    """

    arrays: BaseArrays
    choice_nll: float
    order: int
    ridge: float


class _Problem(NamedTuple):
    """Second moments of v = (1, regressors, value) on train and the choice part."""

    train: np.ndarray
    choice: np.ndarray
    target: str
    centre: np.ndarray

    @property
    def dims(self) -> int:
        return len(self.centre)


def problem_of(
    train: LaggedMoments, choice: LaggedMoments, lag_frames: int, order: int, target: str
) -> _Problem:
    """Return the moments of (1, regressors of `order`, value of `target`)."""
    dims = train.num_dims

    def assemble(moments: LaggedMoments) -> np.ndarray:
        full = moments.augmented(lag_frames, order)
        return _with_value(_with_value(full, order * dims + 1, dims, target).T, order * dims + 1,
                           dims, target)  # fmt: skip

    return _Problem(assemble(train), assemble(choice), target, train.centre)


def _with_value(rows: np.ndarray, num_kept: int, dims: int, target: str) -> np.ndarray:
    """Keep the first rows and replace those of x_t and x_{t-1} by the target's."""
    value = rows[num_kept : num_kept + dims]
    if target == "delta":
        value = value - rows[num_kept + dims :]
    return np.concatenate([rows[:num_kept], value])


def fit_gaussian(problem: _Problem, weight: np.ndarray, is_diagonal: bool) -> LinearFit:
    """Complete a weight [p D, D] by its train intercept and covariance, and score it."""
    dims = problem.dims
    num_regressors = len(problem.train) - 1 - dims
    intercept = problem.train[0, -dims:] - problem.train[0, 1 : 1 + num_regressors] @ weight
    residual_map = np.vstack([-intercept, -weight, np.eye(dims)])
    covariance = residual_map.T @ problem.train @ residual_map
    choice_covariance = residual_map.T @ problem.choice @ residual_map
    mean_square = np.diag(problem.train)[-dims:] + problem.centre**2
    if is_diagonal:
        variances = floored_variance(np.diag(covariance), mean_square)
        scale, basis = np.sqrt(variances), np.eye(dims)
    else:
        variances, basis = np.linalg.eigh(covariance)
        variances = _floored_eigenvalues(variances, mean_square)
        scale = np.sqrt(variances)
    expected = np.einsum("dq,de,eq->q", basis, choice_covariance, basis) / variances
    choice_nll = 0.5 * float(np.sum(np.log(variances) + expected)) + 0.5 * dims * LOG_2PI
    # problem values are less the centre when they are positions
    shift = problem.centre if problem.target == "position" else np.zeros(dims)
    arrays = BaseArrays(
        target=problem.target,
        frame_mean=problem.centre,
        intercept=intercept + shift,
        weight=weight,
        speaker_weight=np.zeros(dims),
        scale=(basis * scale) @ basis.T if not is_diagonal else np.diag(scale),
    )
    return LinearFit(arrays, choice_nll, num_regressors // dims, 0.0)


def _floored_eigenvalues(values: np.ndarray, mean_square: np.ndarray) -> np.ndarray:
    """Give a constant direction a density: it may be no axis, so the smallest dimension counts.

    Nothing below the rounding of the largest eigenvalue is known.
    """
    smallest = SD_SHARE**2 * float(own_square(mean_square).min())
    return np.maximum(values, max(smallest, np.finfo(float).eps * float(values.max())))


def _centred(moment: np.ndarray) -> np.ndarray:
    return moment[1:, 1:] - np.outer(moment[0, 1:], moment[0, 1:])


def diagonal_weight(problem: _Problem) -> np.ndarray:
    """Return the AR(1) weight of each dimension on its own newest frame, shape [D, D]."""
    dims = problem.dims
    centred = _centred(problem.train)
    variance = np.diag(centred)[:dims]
    covariance = np.diag(centred[:dims, -dims:])
    return np.diag(covariance / np.maximum(variance, np.finfo(float).tiny))


def ridge_weight(problem: _Problem, ridge: float) -> np.ndarray:
    """Return the ridge weight, shape [p D, D]; the ridge is relative to each variance."""
    dims = problem.dims
    centred = _centred(problem.train)
    features, cross = centred[:-dims, :-dims], centred[:-dims, -dims:]
    variance = np.maximum(np.diag(features), np.finfo(float).tiny)
    scale = 1 / np.sqrt(variance)
    penalised = features * np.outer(scale, scale) + ridge * np.eye(len(features))
    return scale[:, None] * np.linalg.solve(penalised, scale[:, None] * cross)


def marginal(
    moments: tuple[LaggedMoments, LaggedMoments], target: str, diagonal: bool
) -> LinearFit:
    """Return the Gaussian marginal of the target."""
    problem = problem_of(*moments, 1, 0, target)
    return fit_gaussian(problem, np.zeros((0, problem.dims)), diagonal)


def autoregression(
    moments: tuple[LaggedMoments, LaggedMoments], lag: int, target: str, diagonal: bool
) -> LinearFit:
    """Return the diagonal AR(1) on the newest frame of the context."""
    problem = problem_of(*moments, lag, 1, target)
    return fit_gaussian(problem, diagonal_weight(problem), diagonal)


def ridge_regression(
    moments: tuple[LaggedMoments, LaggedMoments],
    lag: int,
    targets: Sequence[str],
    orders: Sequence[int],
    ridges: Sequence[float],
    diagonal: bool,
) -> LinearFit:
    """Return the VAR / ridge whose order, ridge and shrinkage target score best on the choice part.

    At lag 1 the two targets are one event, and shrinking towards "no change" or towards the mean
    are two ways to fit it; elsewhere `targets` has one entry.
    """
    best: LinearFit | None = None
    for target in targets:
        for order in sorted(orders):
            problem = problem_of(*moments, lag, order, target)
            for ridge in sorted(ridges):
                fit = fit_gaussian(problem, ridge_weight(problem, ridge), diagonal)
                if best is None or fit.choice_nll < best.choice_nll:
                    best = fit._replace(order=order, ridge=ridge)
    assert best is not None
    return best
