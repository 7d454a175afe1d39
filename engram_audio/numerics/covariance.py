"""A covariance and its penalised Cholesky factor in one array.

LAPACK writes the factor into one triangle and leaves the other alone, so the covariance can be
read back exactly. At 8 frames of 512 dimensions each copy of it takes 128 MiB.

Shapes: P entries, Q columns.
"""

import numpy as np
from scipy import linalg

RESTORED_ROWS = 512


class Covariance:
    """A symmetric matrix [P, P] that takes over its array and factors it in place."""

    def __init__(self, values: np.ndarray) -> None:
        """Take over a symmetric C-contiguous array, float64; nobody else may use it."""
        self._array = values.T  # in Fortran order, as LAPACK wants it: lower holds the factor
        self._diagonal = values.diagonal().copy()
        self._penalty: float | None = None

    def __len__(self) -> int:
        """P."""
        return len(self._diagonal)

    @property
    def trace(self) -> float:
        """Sum of the diagonal."""
        return float(self._diagonal.sum())

    def dense(self) -> np.ndarray:
        """Return a copy of the matrix, [P, P]."""
        self._restore()
        return np.array(self._array.T, order="C")

    def factor(self, penalty: float) -> np.ndarray | None:
        """Return L of the matrix with the penalty on its diagonal, or None if there is none.

        Only the lower triangle is L. The last penalty's factor is kept, and is valid until the
        next call of any method.
        """
        if self._penalty == penalty:
            return self._array
        self._restore()
        self._array[np.diag_indices_from(self._array)] += penalty
        self._penalty = penalty
        try:
            self._array = linalg.cho_factor(
                self._array, lower=True, overwrite_a=True, check_finite=False
            )[0]
        except linalg.LinAlgError:
            self._restore()
            return None
        return self._array

    def _restore(self) -> None:
        """Read the matrix back from the triangle that no factor touches."""
        if self._penalty is None:
            return
        for start in range(0, len(self), RESTORED_ROWS):
            own = slice(start, start + RESTORED_ROWS)
            corner = np.triu(self._array[own, own], 1)
            self._array[own.stop :, own] = self._array[own, own.stop :].T
            self._array[own, own] = corner + corner.T
        self._array[np.diag_indices_from(self._array)] = self._diagonal
        self._penalty = None


def solve_lower(lower: np.ndarray, right: np.ndarray, transposed: bool = False) -> np.ndarray:
    """Return L^-1 right, or L^-T right, [P, Q]."""
    return linalg.solve_triangular(
        lower, right, trans=int(transposed), lower=True, check_finite=False
    )
