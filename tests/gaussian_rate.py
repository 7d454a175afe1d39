"""Rate and distortion of Gaussian frames by reverse water-filling.

Any factoriser that reports a (rate, distortion) point below this curve leaks x_t past its rate.
"""

import numpy as np
from scipy.optimize import brentq


def gaussian_rate_nats(covariance: np.ndarray, distortion: float) -> float:
    """Return the least nats per frame that reach a mean squared error.

    Args:
        covariance: Covariance of the frame (given the past, if the decoder knows it), [D, D].
        distortion: Squared error per frame, summed over dimensions.

    Returns:
        1/2 sum ln(lambda_i / min(level, lambda_i)), with the water level at which
        sum min(level, lambda_i) equals the distortion; 0 where the distortion needs no bits.
    """
    eigenvalues = np.linalg.eigvalsh(covariance)
    if distortion >= eigenvalues.sum():
        return 0.0
    level = float(
        brentq(  # pyright: ignore[reportArgumentType]
            lambda height: np.minimum(height, eigenvalues).sum() - distortion, 0, eigenvalues[-1]
        )
    )
    return float(0.5 * np.log(eigenvalues / np.minimum(level, eigenvalues)).sum())
