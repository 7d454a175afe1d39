"""The numbers of a linear base, as a null is stored and as `base.LinearBase` takes them.

Shapes: D dimensions, p order.
"""

from typing import NamedTuple

import numpy as np


class BaseArrays(NamedTuple):
    """The numbers of a base, float64; how a null is stored.

    Attributes:
        target: "delta" or "position": what `value` is.
        frame_mean: m, shape [D].
        intercept: Shape [D].
        weight: Shape [p * D, D], rows in the order of the regressors; p may be 0.
        speaker_weight: Diagonal weight on speaker_mean - m, shape [D].
        scale: Square root of the residual covariance, shape [D, D], symmetric.
    """

    target: str
    frame_mean: np.ndarray
    intercept: np.ndarray
    weight: np.ndarray
    speaker_weight: np.ndarray
    scale: np.ndarray
