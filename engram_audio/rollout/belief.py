"""The kind `belief`: a recurrent forecaster whose state is a mean and a spread, and runs on.

Shapes: B paths, W window, K horizon, D dimensions, U units.
"""

import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch, LinearBase
from engram_audio.densities.reference import InputScales
from engram_audio.densities.trunks import ContextInput
from engram_audio.rollout.forecasters import LOG_SD_RANGE, Forecaster
from engram_audio.rollout.forecasts import Forecast, Gaussians
from engram_audio.rollout.frame import Frame, linear_arrays
from engram_audio.rollout.gated import INPUT_CLIP, Gated
from engram_audio.rollout.method_config import BeliefMethod
from engram_audio.rollout.paths import PathData
from engram_audio.rollout.tasks import ForecastTask

FIRST_LOG_SD = -3.0  # what a known state's spread is called


class Belief(Forecaster):
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


def build(
    settings: BeliefMethod, frame: Frame, _base: nn.Module | None, _data: PathData | None
) -> Belief:
    """See `fit.build_model`."""
    linear = LinearBase(linear_arrays(frame.linear_nulls))
    return Belief(linear, frame.scales, frame.window_frames, settings.width)


def task(settings: BeliefMethod, model: Belief, *rest) -> ForecastTask:
    """See `fit.method_task`: all horizons up to K."""
    return ForecastTask(tuple(range(1, settings.horizon_frames + 1)), model, *rest)
