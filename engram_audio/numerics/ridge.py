"""Ridge and reduced-rank regressions of targets on flattened windows, from their moments.

Shapes: W window rows, D dimensions, T columns of the target.
"""

import numpy as np
from scipy import linalg

from engram_audio.numerics.subspace import leading_eigenvectors
from engram_audio.numerics.window_moments import WindowMoments


def ridge_weights(moments: WindowMoments, ridge: float) -> np.ndarray:
    """Return the ridge regression of z on the window, [W * D, T].

    The penalty is `ridge` times the mean variance of the window's entries.
    """
    penalised = moments.covariance.copy(order="F")  # so that LAPACK factors it in place
    penalty = ridge * float(np.trace(penalised)) / len(penalised)
    penalised[np.diag_indices_from(penalised)] += max(penalty, np.finfo(float).tiny)
    factor = linalg.cho_factor(penalised, lower=True, overwrite_a=True, check_finite=False)
    return linalg.cho_solve(factor, moments.cross, check_finite=False)


def reduced_rank(moments: WindowMoments, ridge: float, rank: int) -> np.ndarray:
    """Return the window directions of a reduced-rank regression of z, [W * D, rank].

    The ridge prediction is projected on the leading eigenvectors of its own covariance: the
    directions of z that the context predicts best, in units of predicted z.
    """
    weights = ridge_weights(moments, ridge)
    predicted = weights.T @ moments.covariance @ weights
    rank = min(rank, len(predicted))
    return weights @ leading_eigenvectors((predicted + predicted.T) / 2, rank)[1]
