"""Models of every horizon at once: a belief that runs on, and direct heads with a linear skip.

Both give diagonal Gaussians of delta and position; nothing is fed back but means and spreads.

Shapes: B paths, W window, K horizon, D dimensions, P frames of a linear forecast, U units.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch, LinearBase
from engram_audio.densities.reference import InputScales
from engram_audio.densities.trunks import ContextInput
from engram_audio.rollout.forecasts import Forecast, Gaussians
from engram_audio.rollout.gated import INPUT_CLIP, Gated

LOG_SD_RANGE = (-8.0, 4.0)  # of a forecast's SD, relative to the data's
FIRST_LOG_SD = -3.0  # what a known state's spread is called


class Belief(nn.Module):
    """State = a mean, a log SD and a memory; each step moves all three.

    The mean goes on by the linear null plus a correction. The spread of delta is not the growth of
    the spread of position (steps of one path depend on each other), so both are said.
    """

    def __init__(
        self, base: LinearBase, scales: InputScales, window_frames: int, width: int
    ) -> None:
        super().__init__()
        self.base = base
        dims = base.num_dims
        self.inputs = ContextInput(scales, is_increments=True, clip=INPUT_CLIP)
        self.first = nn.Linear(window_frames * dims, width)
        self.embed = Gated(4 * dims, width)
        self.cell = nn.GRUCell(self.embed.num_outputs, width)
        self.output = nn.Linear(width + self.embed.num_outputs, 3 * dims)
        with torch.no_grad():
            self.output.weight.mul_(0.1)
            self.output.bias.zero_()
        self.register_buffer("frame_sd", torch.as_tensor(scales.frame_sd, dtype=torch.float32))
        self.register_buffer("delta_sd", torch.as_tensor(scales.delta_sd, dtype=torch.float32))

    frame_sd: Tensor
    delta_sd: Tensor

    def forecast(self, history: Tensor, speaker_mean: Tensor, horizon_frames: int) -> Forecast:
        """Return the laws of horizons 1..K, each [B, K, D], of true histories [B, W, D]."""
        context = history
        hidden = torch.tanh(self.first(self.inputs(context).flatten(1)))
        log_sd = torch.full_like(history[:, -1], FIRST_LOG_SD)
        steps, means, step_sds, sds = [], [], [], []
        for _ in range(horizon_frames):
            newest = context[:, -1]
            seen = self.inputs(context[:, -2:]).flatten(1)
            embedded = self.embed(torch.cat([seen, log_sd, log_sd.exp()], 1))
            hidden = self.cell(embedded, hidden)
            moved, step_log_sd, log_sd = self.output(torch.cat([hidden, embedded], 1)).chunk(3, 1)
            log_sd = log_sd.clamp(*LOG_SD_RANGE)
            step = self._linear_step(context, speaker_mean) + moved * self.delta_sd
            context = torch.cat([context[:, 1:], (newest + step).unsqueeze(1)], 1)
            steps.append(step)
            means.append(newest + step)
            step_sds.append(step_log_sd.clamp(*LOG_SD_RANGE).exp() * self.delta_sd)
            sds.append(log_sd.exp() * self.frame_sd)
        return Forecast(
            Gaussians(torch.stack(steps, 1), torch.stack(step_sds, 1)),
            Gaussians(torch.stack(means, 1), torch.stack(sds, 1)),
            tuple(range(1, horizon_frames + 1)),
        )

    def _linear_step(self, context: Tensor, speaker_mean: Tensor) -> Tensor:
        newest = context[:, -1]
        value = self.base.predict(Batch(context, newest, newest, speaker_mean))
        return value if self.base.target == "delta" else value - newest


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


class Direct(nn.Module):
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


Forecaster = Belief | Direct
