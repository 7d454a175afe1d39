"""What the training loop trains for a rollout: losses along paths of K steps.

Randomness comes from torch's global generator, which the loop seeds at every step; validation
forks it, so that every score sees the same draws.

Shapes: B paths, S samples, W window, K horizon, D dimensions.
"""

from abc import ABC, abstractmethod
from typing import cast

import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Density
from engram_audio.densities.reference import InputScales
from engram_audio.rollout.forecasters import Forecaster
from engram_audio.rollout.paths import PathData

VALIDATION_PATHS = 1024


class PathTask(ABC):
    """A mean loss over paths of true frames."""

    def __init__(
        self,
        model: nn.Module,
        window_frames: int,
        data: tuple[PathData, PathData],
        scales: InputScales,
        horizon_frames: int,
        device: torch.device,
    ) -> None:
        """Keep the model, train and val paths of K steps and the units of frames and steps."""
        self.model = model.to(device)
        self.window_frames = window_frames
        self._train, self._val = data
        self._device = device
        self.frame_sd = torch.as_tensor(scales.frame_sd, dtype=torch.float32, device=device)
        self.delta_sd = torch.as_tensor(scales.delta_sd, dtype=torch.float32, device=device)
        self.details: dict[str, float] = {}
        self.frames_per_item = horizon_frames

    @property
    def num_items(self) -> int:
        """Train paths."""
        return len(self._train)

    @abstractmethod
    def path_loss(self, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return the mean loss of paths [B, W + K, D]."""

    def loss(self, items: Tensor) -> Tensor:
        """Return the mean loss of train paths."""
        return self.path_loss(*self._train.batch(items, self._device))

    def validate(self) -> float:
        """Return the mean loss of val."""
        total = 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for start in range(0, len(self._val), VALIDATION_PATHS):
                items = torch.arange(start, min(start + VALIDATION_PATHS, len(self._val)))
                loss = self.path_loss(*self._val.batch(items, self._device))
                total += float(loss) * len(items)
        return total / len(self._val)

    def _teacher_nll(self, model: Density, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return the one-step NLL of one random step of each path on its true context."""
        last = frames.shape[1] - self.window_frames
        step = torch.randint(0, last, ())
        batch = _true_batch(
            frames, self.window_frames + int(step), self.window_frames, speaker_mean
        )
        return -model.log_prob(batch).mean()


def _true_batch(frames: Tensor, t: int, window: int, speaker_mean: Tensor) -> Batch:
    return Batch(frames[:, t - window : t], frames[:, t - 1], frames[:, t], speaker_mean)


class ForecastTask(PathTask):
    """NLL of delta and position at every horizon of a forecaster."""

    def __init__(self, horizons: tuple[int, ...], model: Forecaster, *rest) -> None:
        super().__init__(model, *rest)
        self._rows = torch.tensor(horizons) - 1

    def path_loss(self, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return the mean of both NLL over horizons."""
        window = self.window_frames
        rows = self._rows.to(frames.device)
        model = cast(Forecaster, self.model)
        forecast = model.forecast(frames[:, :window], speaker_mean, frames.shape[1] - window)
        steps = frames[:, window:] - frames[:, window - 1 : -1]
        score = forecast.delta.log_prob(steps[:, rows])
        score = score + forecast.position.log_prob(frames[:, window:][:, rows])
        return -score.mean()
