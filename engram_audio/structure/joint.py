"""What cells add to a linear model: both fitted together, and what fitting the cells costs.

The joint model is the least squares fit of z on [context, one-hot cell]. Its slope is that of
contexts and targets centred within cells, and each cell's intercept is what the slope leaves of
the cell's mean. So nothing but sums by cell is needed beside the moments of the linear model. The
penalty on the slope is the linear model's own, so that one model holds the other: with a single
cell both are the same.

Shapes: P entries of the context, D target dimensions, G groups (cells, the last one may gather
what is no cell), M frames, S speakers.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import linalg

from engram_audio.numerics.covariance import Covariance, solve_lower

WIDE_CONTEXT = 1024  # entries from which a few groups are taken off a factor that exists


class ContextMoments(NamedTuple):
    """Second moments of train contexts x and targets z about their means.

    Attributes:
        covariance: Of x, [P, P].
        cross: Covariance of x with z, [P, D], float64.
        penalty: Ridge added to the diagonal of the covariance.
    """

    covariance: Covariance
    cross: np.ndarray
    penalty: float


class GroupSums(NamedTuple):
    """Sums over the train frames of each group.

    Attributes:
        counts: Frames, [G].
        context: Sum of x less its train mean, [G, P], float64.
        target: Sum of z, [G, D], float64.
    """

    counts: np.ndarray
    context: np.ndarray
    target: np.ndarray


class JointFit(NamedTuple):
    """The joint model: z = x @ slope + intercept[group], x less its train mean.

    Attributes:
        slope: [P, D].
        intercept: [G, D]; 0 in a group without train frames.
    """

    slope: np.ndarray
    intercept: np.ndarray


def ridge_slope(moments: ContextMoments) -> np.ndarray:
    """Return the ridge regression of z on the context, [P, D].

    Directions whose variance is lost in rounding count as having the penalty's.
    """
    if not len(moments.covariance):
        return moments.cross
    lower = moments.covariance.factor(moments.penalty)
    if lower is None:
        values, vectors = linalg.eigh(moments.covariance.dense())
        inverse = 1 / (np.maximum(values, 0) + moments.penalty)
        return vectors @ (inverse[:, None] * (vectors.T @ moments.cross))
    return linalg.cho_solve((lower, True), moments.cross, check_finite=False)


def fit_joint(moments: ContextMoments, sums: GroupSums) -> JointFit:
    """Fit slope and intercepts together.

    The moments within groups are the total ones less n_g mean_g mean_g^T summed over groups.
    """
    divisor = np.maximum(sums.counts, 1)[:, None]
    root = np.sqrt(divisor * int(sums.counts.sum()))
    scaled, target = sums.context / root, sums.target / root
    slope = _slope_by_factor(moments, scaled, target)
    if slope is None:
        within = moments.covariance.dense()
        within -= scaled.T @ scaled
        cross = moments.cross - scaled.T @ target
        slope = ridge_slope(ContextMoments(Covariance(within), cross, moments.penalty))
    return JointFit(slope, (sums.target - sums.context @ slope) / divisor)


def _slope_by_factor(
    moments: ContextMoments, scaled: np.ndarray, target: np.ndarray
) -> np.ndarray | None:
    """Return the slope within few groups of a wide context; None where they are not.

    Factoring P entries anew takes P^3 / 3 multiplications for each key. With U = `scaled`, V =
    `target` and Q = L^-1 U^T the slope B solves (L L^T - U^T U) B = C - U^T V, so that
    (I - Q Q^T) L^T B = L^-1 C - Q V. The inverse of I - Q Q^T is I + Q (I - Q^T Q)^-1 Q^T, which
    takes G unknowns (Woodbury).

    Args:
        moments: All of train.
        scaled: Group sums of the context over sqrt(n_g n), [G, P].
        target: The same of z, [G, D].
    """
    num_groups, num_inputs = scaled.shape
    if num_inputs < WIDE_CONTEXT or 4 * num_groups > num_inputs:
        return None
    lower = moments.covariance.factor(moments.penalty)
    if lower is None:
        return None
    solved = solve_lower(lower, scaled.T)
    try:
        small = linalg.cho_factor(np.eye(num_groups) - solved.T @ solved, lower=True)
    except linalg.LinAlgError:
        return None
    cross = solve_lower(lower, moments.cross) - solved @ target
    cross += solved @ linalg.cho_solve(small, solved.T @ cross)
    return solve_lower(lower, cross, transposed=True)


def train_error(
    moments: ContextMoments, sums: GroupSums, fit: JointFit, squared_norm: float
) -> float:
    """Return the squared error per train frame, summed over dimensions, free of optimism.

    With residuals r the fit has x^T r = n penalty slope and no mean residual in any group, so the
    error follows from the sums: z^T z - z^T (x slope + intercept) - n penalty |slope|^2. The
    divisor is the number of frames less that of groups and slopes.

    Args:
        moments: What was fitted.
        sums: The groups, all train frames together.
        fit: The fit.
        squared_norm: Sum of z^2 over all train frames and dimensions.
    """
    total = int(sums.counts.sum())
    slope = np.sum(fit.slope * moments.cross) + moments.penalty * np.sum(fit.slope**2)
    error = squared_norm - total * float(slope) - float(np.sum(sums.target * fit.intercept))
    free = total - int(np.count_nonzero(sums.counts)) - len(moments.covariance)
    return max(error, 0.0) / max(free, 1)


def scatter_factor(halves: Sequence[GroupSums], fit: JointFit, error: float) -> float:
    """Return the variance of a cell mean of n frames, in units of 1/n of the error variance.

    It is 1 for independent frames. Neighbouring frames share their cell and what the context leaves
    of them is correlated: a step undoes the one before it, so that such means scatter less. The
    means of two halves of the utterances differ by as much as they scatter.

    Args:
        halves: Sums over both halves of train; the last group is no cell.
        fit: The joint model of both.
        error: Its squared error on train per frame, summed over dimensions.
    """
    counts = np.stack([half.counts[:-1] for half in halves])
    used = (counts > 0).all(axis=0)
    means = [
        (half.target[:-1][used] - half.context[:-1][used] @ fit.slope)
        / half.counts[:-1][used][:, None]
        for half in halves
    ]
    if not used.any() or error <= 0:
        return 1.0
    variance = np.sum((means[0] - means[1]) ** 2, axis=1) / (1 / counts[:, used]).sum(axis=0)
    weight = counts[:, used].sum(axis=0)
    return float(np.sum(weight * variance) / np.sum(weight)) / error


def fitting_cost(counts: np.ndarray, factor: float = 1.0) -> np.ndarray:
    """Return the share of a frame's squared error that fitting its cell's mean has cost, [G].

    The mean of n independent train frames scatters by 1/n of the variance v within the cell. A new
    frame of the cell therefore has an expected squared error v (1 + 1/n), of which 1 / (n + 1) is
    due to the mean. Taking that share off is exact for a key that knows nothing and for one that
    knows something, and whatever the variances of the cells are. Summed over frames of a useless
    key it is e (1 - R^2) of the total: e the sum of mass / n over cells, R^2 the linear model's.

    Args:
        counts: Train frames of each cell, [G].
        factor: See `scatter_factor`: a mean scatters by factor / n.
    """
    return factor / (counts + factor)


class AddedNats(NamedTuple):
    """Nats per frame that cells add, with what each speaker contributes.

    Attributes:
        value: 1/2 sum_d log(linear_d / joint_d) of errors summed over speakers.
        influence: Derivative of the value in each speaker's weight, [S]; sums to zero.
    """

    value: float
    influence: np.ndarray


def added_nats(linear: np.ndarray, joint: np.ndarray) -> AddedNats:
    """Return the nats per frame between two Gaussian models with one variance per dimension.

    Args:
        linear: Squared errors of the linear model by speaker and dimension, [S, D].
        joint: The same of the joint model, less its cost of fitting.

    A dimension in which the linear model makes no error adds nothing.
    """
    sums = linear.sum(axis=0), joint.sum(axis=0)
    used = (sums[0] > 0) & (sums[1] > 0)
    first, second = (own[used] for own in sums)
    influence = linear[:, used] / first - joint[:, used] / second
    return AddedNats(0.5 * float(np.log(first / second).sum()), 0.5 * influence.sum(axis=1))


def speaker_folds(num_frames: np.ndarray, num_folds: int) -> np.ndarray:
    """Return a fold for each speaker, [S]: the largest speaker goes to the emptiest fold.

    Args:
        num_frames: Frames of each speaker, [S].
        num_folds: Folds, as many as there are speakers at most.
    """
    folds = np.zeros(len(num_frames), dtype=np.int64)
    filled = np.zeros(num_folds, dtype=np.int64)
    for speaker in np.argsort(-num_frames, kind="stable"):
        folds[speaker] = np.argmin(filled)
        filled[folds[speaker]] += num_frames[speaker]
    return folds
