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
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.reference import InputScales
from engram_audio.rollout.config import EnergyMethod, KStepMethod, NoiseMethod
from engram_audio.rollout.forecasters import Forecaster
from engram_audio.rollout.leveled import LeveledDensity
from engram_audio.rollout.paths import PathData
from engram_audio.rollout.simulate import StepDensity, as_steps, to_frames

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
        """Keep the model, train and held-out paths of K steps and the units of frames and steps."""
        self.model = model.to(device)
        self._window = window_frames
        self._train, self._val = data
        self._device = device
        self._frame_sd = torch.as_tensor(scales.frame_sd, dtype=torch.float32, device=device)
        self._delta_sd = torch.as_tensor(scales.delta_sd, dtype=torch.float32, device=device)
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
        """Return the mean loss of held-out paths."""
        total = 0.0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            for start in range(0, len(self._val), VALIDATION_PATHS):
                items = torch.arange(start, min(start + VALIDATION_PATHS, len(self._val)))
                loss = self.path_loss(*self._val.batch(items, self._device))
                total += float(loss) * len(items)
        return total / len(self._val)

    def _teacher_nll(self, model: StepDensity, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return the one-step NLL of one random step of each path on its true context."""
        last = frames.shape[1] - self._window
        step = torch.randint(0, last, ())
        batch = _true_batch(frames, self._window + int(step), self._window, speaker_mean)
        return -model.log_prob(batch).mean()


def _true_batch(frames: Tensor, t: int, window: int, speaker_mean: Tensor) -> Batch:
    return Batch(frames[:, t - window : t], frames[:, t - 1], frames[:, t], speaker_mean)


def score_and_mean(model: StepDensity, batch: Batch) -> tuple[Tensor, Tensor]:
    """Return log p(value | context) [B] and E[value | context] [B, D]; the trunk runs once."""
    if not isinstance(model, ConditionalDensity):
        return model.log_prob(batch), model.mean(batch)
    base, head = model.base, model.head
    parameters, prediction = model.parameters_of(batch), base.predict(batch)
    z = base.whiten(base.value(batch, model.target) - prediction)
    score = head.log_prob(parameters, z) + base.log_det
    return score, prediction + base.unwhiten(head.mean(parameters))


class KStepTask(PathTask):
    """NLL of the true increments along the model's own mean path: the first experiment's loss."""

    def __init__(self, settings: KStepMethod, model: nn.Module, *rest) -> None:
        super().__init__(model, *rest)
        self._settings = settings

    def path_loss(self, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return K-step NLL, plus the weighted one-step NLL and distance to the true path."""
        settings, window = self._settings, self._window
        model = as_steps(self.model)
        context = frames[:, :window]
        score = frames.new_zeros(())
        distance = frames.new_zeros(())
        horizon = frames.shape[1] - window
        for step in range(horizon):
            t = window + step
            newest = context[:, -1]
            current = newest + frames[:, t] - frames[:, t - 1]
            batch = Batch(context, newest, current, speaker_mean)
            log_density, mean = score_and_mean(model, batch)
            score = score - log_density.mean()
            following = to_frames(model, batch, mean)
            distance = distance + ((following - frames[:, t]) / self._frame_sd).square().mean()
            if settings.scheduled_fraction:
                draw = torch.rand(len(frames), 1, device=frames.device)
                is_taught = draw < settings.scheduled_fraction
                following = torch.where(is_taught, frames[:, t], following)
            context = torch.cat([context[:, 1:], following.unsqueeze(1)], 1)
        loss = score / horizon + settings.state_weight * distance / horizon
        if settings.teacher_weight:
            teacher = self._teacher_nll(model, frames, speaker_mean)
            loss = loss + settings.teacher_weight * teacher
        return loss


class EnergyTask(PathTask):
    """Almost fair energy score of sampled paths against the true one (afCRPS, many dimensions).

    A path is its frames and its steps, each in SD: the distance then sees speed as well as place.
    """

    def __init__(self, settings: EnergyMethod, model: nn.Module, *rest) -> None:
        super().__init__(model, *rest)
        self._settings = settings

    def path_loss(self, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return the score per root dimension, plus the weighted one-step NLL."""
        settings, window, count = self._settings, self._window, self._settings.num_samples
        model = as_steps(self.model)
        sampled = self._sampled_paths(frames[:, :window], speaker_mean, frames.shape[1] - window)
        paths = self._described(sampled, frames[:, window - 1]).unflatten(0, (count, -1))
        truth = self._described(frames[:, window:], frames[:, window - 1])
        unit = truth.shape[-1] ** 0.5
        error = (paths - truth).norm(dim=-1).mean(0) / unit
        spread = torch.zeros_like(error)
        for shift in range(1, count // 2 + 1):
            weight = 0.5 if 2 * shift == count else 1.0
            spread = spread + weight * (paths - paths.roll(shift, 0)).norm(dim=-1).mean(0) / unit
        pairs = (count - 1) / 2
        share = settings.fairness + (1 - settings.fairness) * (count - 1) / count
        loss = (error - 0.5 * share * spread / pairs).mean()
        if settings.teacher_weight:
            teacher = self._teacher_nll(model, frames, speaker_mean)
            loss = loss + settings.teacher_weight * teacher
        return loss

    def _sampled_paths(self, history: Tensor, speaker_mean: Tensor, horizon: int) -> Tensor:
        """Return sampled frames, [S * B, K, D]; gradients flow through every draw."""
        count = self._settings.num_samples
        context = history.repeat(count, 1, 1)
        speaker = speaker_mean.repeat(count, 1)
        seed = int(torch.randint(2**62, ()))
        generator = torch.Generator(device=history.device).manual_seed(seed)
        model = as_steps(self.model)
        found = []
        for _ in range(horizon):
            newest = context[:, -1]
            batch = Batch(context, newest, newest, speaker)
            drawn = to_frames(model, batch, model.sample(batch, 1, generator)[0])
            found.append(drawn)
            context = torch.cat([context[:, 1:], drawn.unsqueeze(1)], 1)
        return torch.stack(found, 1)

    def _described(self, frames: Tensor, before: Tensor) -> Tensor:
        repeats = len(frames) // len(before)
        whole = torch.cat([before.repeat(repeats, 1).unsqueeze(1), frames], 1)
        steps = (whole[:, 1:] - whole[:, :-1]) / self._delta_sd
        return torch.cat([(frames / self._frame_sd).flatten(1), steps.flatten(1)], 1)


class NoiseTask(PathTask):
    """One-step NLL of the clean frame from a noisy context whose level is told."""

    def __init__(self, settings: NoiseMethod, model: LeveledDensity, *rest) -> None:
        super().__init__(model, *rest)
        self._settings = settings

    def path_loss(self, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return the NLL at a random level for each path; half of them are clean."""
        window = self._window
        shape = (len(frames), 1)
        level = self._settings.maximum_level * torch.rand(shape, device=frames.device)
        level = torch.where(torch.rand(shape, device=frames.device) < 0.5, 0.0, level)
        noise = torch.randn_like(frames[:, :window]) * self._frame_sd
        context = frames[:, :window] + level.unsqueeze(1) * noise
        batch = Batch(context, context[:, -1], frames[:, window], speaker_mean)
        model = self.model
        assert isinstance(model, LeveledDensity)
        return -model.log_prob_at(batch, level).mean()


class ForecastTask(PathTask):
    """NLL of delta and position at every horizon of a forecaster."""

    def __init__(self, horizons: tuple[int, ...], model: Forecaster, *rest) -> None:
        super().__init__(model, *rest)
        self._rows = torch.tensor(horizons) - 1

    def path_loss(self, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return the mean of both NLL over horizons."""
        window = self._window
        rows = self._rows.to(frames.device)
        model = cast(Forecaster, self.model)
        forecast = model.forecast(frames[:, :window], speaker_mean, frames.shape[1] - window)
        steps = frames[:, window:] - frames[:, window - 1 : -1]
        score = forecast.delta.log_prob(steps[:, rows])
        score = score + forecast.position.log_prob(frames[:, window:][:, rows])
        return -score.mean()
