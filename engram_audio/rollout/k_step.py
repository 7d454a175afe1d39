"""The kind `k_step`: the base tuned along its own mean path.

Shapes: as in `tasks`.
"""

import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch
from engram_audio.rollout.method_config import KStepMethod
from engram_audio.rollout.simulate import as_steps, to_frames
from engram_audio.rollout.stepwise import build as build
from engram_audio.rollout.tasks import PathTask


class KStepTask(PathTask):
    """NLL of the true increments along the model's own mean path: the first experiment's loss."""

    def __init__(self, settings: KStepMethod, model: nn.Module, *rest) -> None:
        super().__init__(model, *rest)
        self._settings = settings

    def path_loss(self, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return K-step NLL, plus the weighted one-step NLL and distance to the true path."""
        settings, window = self._settings, self.window_frames
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
            log_density, mean = model.log_prob_and_mean(batch)
            score = score - log_density.mean()
            following = to_frames(model, batch, mean)
            distance = distance + ((following - frames[:, t]) / self.frame_sd).square().mean()
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


task = KStepTask
