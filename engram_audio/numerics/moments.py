"""Running first and second moments of rows.

Shapes: M rows of a call, D dimensions.
"""

import numpy as np


class Moments:
    """Count, sum and products of rows about a fixed shift, summed over calls in float64.

    A shift near the mean keeps the sums free of cancellation. Any shift is exact. The products of
    one call have the precision of its rows less the shift, so a float64 shift makes them float64.
    """

    def __init__(self, shift: np.ndarray) -> None:
        """Start empty; `shift` [D] is subtracted from every row."""
        self.shift = shift
        self.count = 0
        self.total = np.zeros(len(shift))
        self.products = np.zeros((len(shift), len(shift)))

    def add(self, rows: np.ndarray) -> np.ndarray:
        """Add rows, [M, D]; return them less the shift."""
        centred = rows - self.shift
        self.count += len(rows)
        self.total += centred.sum(axis=0, dtype=np.float64)
        self.products += centred.T @ centred
        return centred

    @property
    def offset(self) -> np.ndarray:
        """Mean of the rows less the shift, [D]."""
        return self.total / self.count

    @property
    def mean(self) -> np.ndarray:
        """Mean of the rows, [D], float64."""
        return self.shift.astype(np.float64) + self.offset

    def covariance(self) -> np.ndarray:
        """Return the covariance (divided by the count), [D, D]."""
        return self.products / self.count - np.outer(self.offset, self.offset)
