"""The kind `energy`: the base tuned on a score of sampled paths.

Shapes: as in `tasks`.
"""

import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch
from engram_audio.rollout.method_config import EnergyMethod
from engram_audio.rollout.simulate import as_steps, to_frames
from engram_audio.rollout.stepwise import build as build
from engram_audio.rollout.tasks import PathTask


class EnergyTask(PathTask):
    """Almost fair energy score of sampled paths against the true one (afCRPS, many dimensions).

    A path is its frames and its steps, each in SD: the distance then sees speed as well as place.
    """

    def __init__(self, settings: EnergyMethod, model: nn.Module, *rest) -> None:
        super().__init__(model, *rest)
        self._settings = settings

    def path_loss(self, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return the score per root dimension, plus the weighted one-step NLL."""
        settings, window, count = self._settings, self.window_frames, self._settings.num_samples
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
        steps = (whole[:, 1:] - whole[:, :-1]) / self.delta_sd
        return torch.cat([(frames / self.frame_sd).flatten(1), steps.flatten(1)], 1)


task = EnergyTask
