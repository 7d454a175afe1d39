"""The kind `energy`: the base tuned on a score of sampled paths.

Shapes: as in `tasks`.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch
from engram_audio.rollout.method_config import EnergyMethod
from engram_audio.rollout.simulate import as_steps, to_frames
from engram_audio.rollout.stepwise import build as build
from engram_audio.rollout.tasks import PathTask


class Distances(NamedTuple):
    """Distances of sampled paths, per root dimension.

    Attributes:
        truth: From the true path, [S, B].
        others: Sum over the other samples of the same start, [S, B].
    """

    truth: Tensor
    others: Tensor

    def score(self, share: float) -> Tensor:
        """Return the mean distance from the truth less `share` of half that of pairs, [B]."""
        count = len(self.truth)
        return self.truth.mean(0) - 0.5 * share * self.others.mean(0) / (count - 1)

    def advantages(self, share: float) -> Tensor:
        """Return what each sample adds to the score, less what the others let expect, [S, B].

        The expectation does not look at the sample itself, so that taking it off moves no mean.
        """
        count = len(self.truth)
        own = self.truth - share * self.others / (count - 1)
        among_others = (self.truth.sum(0) - self.truth) / (count - 1)
        if count > 2:
            pairs = 0.5 * self.others.sum(0) - self.others
            among_others = among_others - share * pairs / (0.5 * (count - 1) * (count - 2))
        return (own - among_others) / count


def path_distances(paths: Tensor, truth: Tensor) -> Distances:
    """Return the distances of described paths [S, B, Q] from the true one [B, Q]."""
    unit, count = truth.shape[-1] ** 0.5, len(paths)
    others = paths.new_zeros(paths.shape[:2])
    for shift in range(1, count // 2 + 1):
        distance = (paths - paths.roll(shift, 0)).norm(dim=-1) / unit
        # sample i and sample i - shift share it; at half way round the roll gives it to both
        is_half = 2 * shift == count
        others = others + distance + (0.0 if is_half else distance.roll(-shift, 0))
    return Distances((paths - truth).norm(dim=-1) / unit, others)


class EnergyTask(PathTask):
    """Almost fair energy score of sampled paths against the true one (afCRPS, many dimensions).

    A path is its frames and its steps, each in SD: the distance then sees speed as well as place.
    """

    def __init__(self, settings: EnergyMethod, model: nn.Module, *rest) -> None:
        super().__init__(model, *rest)
        self._settings = settings

    def path_loss(self, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return the score per root dimension, plus the weighted one-step NLL.

        Its gradient is that of the expected score: samples move, and components are chosen more or
        less often. The second part has the value 0.
        """
        settings, window, count = self._settings, self.window_frames, self._settings.num_samples
        sampled, log_choice = self._sampled_paths(
            frames[:, :window], speaker_mean, frames.shape[1] - window
        )
        paths = self._described(sampled, frames[:, window - 1]).unflatten(0, (count, -1))
        truth = self._described(frames[:, window:], frames[:, window - 1])
        distances = path_distances(paths, truth)
        share = settings.fairness + (1 - settings.fairness) * (count - 1) / count
        advantages = distances.advantages(share).detach()
        choosing = (advantages * log_choice.unflatten(0, (count, -1))).sum(0).mean()
        loss = distances.score(share).mean() + choosing - choosing.detach()
        if settings.teacher_weight:
            teacher = self._teacher_nll(as_steps(self.model), frames, speaker_mean)
            loss = loss + settings.teacher_weight * teacher
        return loss

    def _sampled_paths(
        self, history: Tensor, speaker_mean: Tensor, horizon: int
    ) -> tuple[Tensor, Tensor]:
        """Return sampled frames, [S * B, K, D], and the log probability of their choices, [S * B].

        Gradients flow through every draw.
        """
        count = self._settings.num_samples
        context = history.repeat(count, 1, 1)
        speaker = speaker_mean.repeat(count, 1)
        seed = int(torch.randint(2**62, ()))
        generator = torch.Generator(device=history.device).manual_seed(seed)
        model = as_steps(self.model)
        found, log_choice = [], context.new_zeros(len(context))
        for _ in range(horizon):
            newest = context[:, -1]
            batch = Batch(context, newest, newest, speaker)
            drawn = model.draw(batch, 1, generator)
            following = to_frames(model, batch, drawn.values[0])
            found.append(following)
            log_choice = log_choice + drawn.log_choice[0]
            context = torch.cat([context[:, 1:], following.unsqueeze(1)], 1)
        return torch.stack(found, 1), log_choice

    def _described(self, frames: Tensor, before: Tensor) -> Tensor:
        repeats = len(frames) // len(before)
        whole = torch.cat([before.repeat(repeats, 1).unsqueeze(1), frames], 1)
        steps = (whole[:, 1:] - whole[:, :-1]) / self.delta_sd
        return torch.cat([(frames / self.frame_sd).flatten(1), steps.flatten(1)], 1)


task = EnergyTask
