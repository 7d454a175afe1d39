"""Leading eigenvectors, deterministic: a fixed start vector and fixed signs."""

import numpy as np
from scipy import linalg

DENSE_WIDTH = 256  # below this a dense solver beats Lanczos


def leading_eigenvectors(symmetric: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest eigenvalues, falling, and their eigenvectors.

    Args:
        symmetric: Positive semi-definite matrix, [P, P], float64.
        count: How many, at most P.

    Returns:
        Values [count] and vectors as columns [P, count].
    """
    width = len(symmetric)
    if width <= DENSE_WIDTH or count > width // 4:
        lowest = width - count
        values, vectors = linalg.eigh(symmetric, subset_by_index=(lowest, width - 1))
    else:
        from scipy.sparse.linalg import eigsh  # wide matrices alone need it

        # an uneven start vector is not orthogonal to a leading direction by a symmetry of the data
        start = np.cos(np.arange(width) ** 1.5)
        # the margin keeps close eigenvalues apart; Lanczos converges to machine precision (tol 0)
        values, vectors = eigsh(
            symmetric, k=count, which="LA", v0=start, ncv=min(width, 3 * count + 20)
        )
        order = np.argsort(-values, kind="stable")[::-1]
        values, vectors = values[order], vectors[:, order]
    return values[::-1], fix_signs(vectors[:, ::-1])


def fix_signs(vectors: np.ndarray) -> np.ndarray:
    """Return the columns with their largest entry positive."""
    largest = np.argmax(np.abs(vectors), axis=0)
    signs = np.sign(vectors[largest, np.arange(vectors.shape[1])])
    return vectors * np.where(signs == 0, 1.0, signs)
