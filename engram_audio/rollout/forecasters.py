"""Models of every horizon at once; nothing is fed back but means and spreads.

Shapes: B paths, W window, K horizon, D dimensions.
"""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from engram_audio.rollout.forecasts import Forecast

LOG_SD_RANGE = (-8.0, 4.0)  # of a forecast's SD, relative to the data's


class Forecaster(nn.Module, ABC):
    """Gives diagonal Gaussians of delta and position at its horizons."""

    @abstractmethod
    def forecast(self, history: Tensor, speaker_mean: Tensor, horizon_frames: int) -> Forecast:
        """Return the laws of its horizons up to K, each [B, K', D], of histories [B, W, D]."""
