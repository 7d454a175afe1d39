"""Floors of a spread that follow the data's own units.

An absolute floor means something else in every unit: latents times 1e-8 would then be other data.

Shapes: D dimensions.
"""

import numpy as np

SD_SHARE = 1e-6  # a spread below this share of the values themselves is their rounding in float32


def own_square(mean_square: np.ndarray) -> np.ndarray:
    """Return the mean square that each dimension is measured by, [D], never 0.

    A dimension that is 0 throughout takes the mean over the others, and 1 where all are 0.
    """
    typical = float(np.mean(mean_square)) or 1.0
    return np.where(mean_square > 0, mean_square, typical)


def floored_variance(
    variance: np.ndarray, mean_square: np.ndarray, share: float = SD_SHARE
) -> np.ndarray:
    """Return variances whose SD is at least a share of the RMS value, [D].

    Args:
        variance: [D]; rounding may have left it a little below 0.
        mean_square: Mean square of the values about 0, [D], in the same squared units.
        share: Smallest SD as a share of the dimension's own RMS value.
    """
    return np.maximum(variance, share**2 * own_square(mean_square))
