"""What a generator knows of the latents' dimensions: their scale and the noise put on them."""

from typing import NamedTuple

import numpy as np


class Dimensions(NamedTuple):
    """Train statistics of each dimension, each of shape [D].

    Attributes:
        frame_mean: Mean of the frames.
        frame_sd: Their SD, above 0.
        noise_sd: SD of the dequantisation noise, 0 where there is none; scales stay above it.
    """

    frame_mean: np.ndarray
    frame_sd: np.ndarray
    noise_sd: np.ndarray

    @property
    def num_dims(self) -> int:
        """D."""
        return len(self.frame_mean)
