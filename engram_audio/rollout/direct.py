"""The kind `direct`: one head per horizon, each around a linear forecast of its own.

Shapes: B paths, W window, K horizon, D dimensions, P frames of a linear forecast, U units.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.densities.reference import InputScales
from engram_audio.densities.trunks import ContextInput
from engram_audio.rollout.forecasters import LOG_SD_RANGE, Forecaster
from engram_audio.rollout.forecasts import Forecast, Gaussians
from engram_audio.rollout.frame import Frame
from engram_audio.rollout.gated import INPUT_CLIP, Gated
from engram_audio.rollout.method_config import DirectMethod
from engram_audio.rollout.paths import PathData
from engram_audio.rollout.tasks import ForecastTask

MOMENT_PATHS = 4096


class LinearForecasts(NamedTuple):
    """Least squares of delta and position at each horizon on the newest frames.

    Attributes:
        weight: Shape [K, 1 + P * D, 2 * D]; delta first.
        log_sd: Of the residuals, [K, 2 * D].
    """

    weight: np.ndarray
    log_sd: np.ndarray


def regressors(history: np.ndarray, order: int) -> np.ndarray:
    """Return 1, the newest frame and the steps before it, [M, 1 + P * D]."""
    recent = history[:, ::-1][:, :order]
    steps = recent[:, :-1] - recent[:, 1:]
    parts = [np.ones((len(history), 1)), recent[:, 0], steps.reshape(len(history), -1)]
    return np.concatenate(parts, 1)


class HorizonMoments:
    """Normal equations of all horizons, summed over batches of paths."""

    def __init__(self, horizons: tuple[int, ...], order: int, num_dims: int) -> None:
        """Start empty."""
        size = 1 + order * num_dims
        self._horizons, self._order = horizons, order
        self._square = np.zeros((size, size))
        self._cross = np.zeros((len(horizons), size, 2 * num_dims))
        self._values = np.zeros((len(horizons), 2 * num_dims))
        self._count = 0

    def add(self, frames: np.ndarray, window_frames: int) -> None:
        """Add paths [B, W + K, D]."""
        x = regressors(frames[:, :window_frames].astype(np.float64), self._order)
        self._square += x.T @ x
        self._count += len(x)
        for number, horizon in enumerate(self._horizons):
            t = window_frames + horizon - 1
            now, before = (frames[:, row].astype(np.float64) for row in (t, t - 1))
            y = np.concatenate([now - before, now], 1)
            self._cross[number] += x.T @ y
            self._values[number] += (y * y).sum(0)

    def solve(self, ridge: float) -> LinearForecasts:
        """Return the forecasts; the ridge is relative to each regressor's variance."""
        square = self._square / self._count
        variance = np.diag(square) - square[0] ** 2
        penalty = np.diag(ridge * np.maximum(variance, np.finfo(float).tiny))
        penalty[0, 0] = 0.0
        cross = self._cross / self._count
        weight = np.stack([np.linalg.solve(square + penalty, part) for part in cross])
        explained = 2 * (weight * cross).sum(1) - np.einsum(
            "kij,il,klj->kj", weight, square, weight
        )
        residual = self._values / self._count - explained
        floor = 1e-12 * self._values / self._count
        return LinearForecasts(
            weight, 0.5 * np.log(np.maximum(residual, floor + np.finfo(float).tiny))
        )


class Direct(Forecaster):
    """One head per horizon on shared hidden layers, each around its own linear forecast."""

    def __init__(
        self,
        linear: LinearForecasts,
        horizons: tuple[int, ...],
        order: int,
        scales: InputScales,
        window_frames: int,
        width: int,
    ) -> None:
        super().__init__()
        self.horizons, self.order = tuple(horizons), order
        dims = len(scales.frame_mean)
        self.inputs = ContextInput(scales, is_increments=True, clip=INPUT_CLIP)
        self.hidden = Gated(window_frames * dims, width)
        self.heads = nn.Linear(self.hidden.num_outputs, len(horizons) * 4 * dims)
        with torch.no_grad():
            self.heads.weight.mul_(0.1)
            self.heads.bias.zero_()
        self.register_buffer("weight", torch.as_tensor(linear.weight, dtype=torch.float32))
        self.register_buffer("log_sd", torch.as_tensor(linear.log_sd, dtype=torch.float32))

    weight: Tensor
    log_sd: Tensor

    def forecast(self, history: Tensor, speaker_mean: Tensor, horizon_frames: int) -> Forecast:
        """Return the laws of its own horizons up to K, [B, K', D], of histories [B, W, D]."""
        del speaker_mean
        count = sum(horizon <= horizon_frames for horizon in self.horizons)
        batch, dims = len(history), history.shape[2]
        recent = history.flip(1)[:, : self.order]
        steps = recent[:, :-1] - recent[:, 1:]
        x = torch.cat([recent.new_ones(batch, 1), recent[:, 0], steps.flatten(1)], 1)
        linear = torch.einsum("bi,kij->bkj", x, self.weight[:count])
        out = self.heads(self.hidden(self.inputs(history).flatten(1)))
        shift, log_scale = out.view(batch, len(self.horizons), 2, 2 * dims)[:, :count].unbind(2)
        log_sd = self.log_sd[:count]
        mean = linear + shift * log_sd.exp()
        sd = (log_sd + log_scale.clamp(*LOG_SD_RANGE)).exp()
        return Forecast(
            Gaussians(mean[..., :dims], sd[..., :dims]),
            Gaussians(mean[..., dims:], sd[..., dims:]),
            self.horizons[:count],
        )


def fit_linear_forecasts(
    settings: DirectMethod, data: PathData, window_frames: int, num_dims: int
) -> LinearForecasts:
    """Fit the linear skips of all heads on train paths."""
    moments = HorizonMoments(settings.horizons_frames, _order(settings, window_frames), num_dims)
    for start in range(0, len(data), MOMENT_PATHS):
        items = torch.arange(start, min(start + MOMENT_PATHS, len(data)))
        moments.add(data.batch(items, torch.device("cpu"))[0].numpy(), window_frames)
    return moments.solve(settings.ridge)


def _order(settings: DirectMethod, window_frames: int) -> int:
    return min(settings.order_frames, window_frames)


def _no_forecasts(settings: DirectMethod, window_frames: int, num_dims: int) -> LinearForecasts:
    """Return forecasts of the right shape, to be overwritten by stored ones."""
    count = len(settings.horizons_frames)
    size = 1 + _order(settings, window_frames) * num_dims
    return LinearForecasts(np.zeros((count, size, 2 * num_dims)), np.zeros((count, 2 * num_dims)))


def build(
    settings: DirectMethod, frame: Frame, _base: nn.Module | None, data: PathData | None
) -> Direct:
    """See `fit.build_model`."""
    window, dims = frame.window_frames, len(frame.scales.frame_mean)
    if data is None:
        linear = _no_forecasts(settings, window, dims)
    else:
        linear = fit_linear_forecasts(settings, data, window, dims)
    order = _order(settings, window)
    return Direct(linear, settings.horizons_frames, order, frame.scales, window, settings.width)


def task(settings: DirectMethod, model: Direct, *rest) -> ForecastTask:
    """See `fit.method_task`: the horizons that have a head."""
    return ForecastTask(settings.horizons_frames, model, *rest)
