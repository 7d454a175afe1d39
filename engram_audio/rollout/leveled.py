"""The kind `noise`: a density that is told how noisy its context is, and steps back onto the data.

Shapes: R contexts, W window, D dimensions, P head parameters.
"""

import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch
from engram_audio.densities.density import ConditionalDensity, Density
from engram_audio.densities.reference import InputScales
from engram_audio.densities.trunks import ContextInput
from engram_audio.rollout import stepwise
from engram_audio.rollout.frame import Frame
from engram_audio.rollout.gated import INPUT_CLIP, Gated
from engram_audio.rollout.method_config import NoiseMethod
from engram_audio.rollout.paths import PathData
from engram_audio.rollout.tasks import PathTask


class LeveledDensity(Density):
    """A trained density whose parameters a second network moves by context and noise level.

    The second network starts at nothing, so training starts at the density as it was.
    """

    def __init__(
        self,
        inner: ConditionalDensity,
        scales: InputScales,
        window_frames: int,
        width: int,
        running_level: float,
    ) -> None:
        super().__init__()
        self.inner = inner
        self.target = inner.target
        self.running_level = running_level
        self.inputs = ContextInput(scales, is_increments=True, clip=INPUT_CLIP)
        num_inputs = window_frames * len(scales.frame_mean) + 1
        self.features = Gated(num_inputs, width)
        self.adapter = nn.Linear(self.features.num_outputs, inner.head.num_parameters)
        with torch.no_grad():
            self.adapter.weight.zero_()
            self.adapter.bias.zero_()

    def parameters_of(self, batch: Batch) -> Tensor:
        """Return the head's parameters at the running level, [R, P]."""
        return self._parameters_at(batch, self._running(batch))

    def _parameters_at(self, batch: Batch, level: Tensor) -> Tensor:
        inputs = torch.cat([self.inputs(batch.context).flatten(1), level], 1)
        return self.inner.parameters_of(batch) + self.adapter(self.features(inputs))

    def _running(self, batch: Batch) -> Tensor:
        return batch.context.new_full((len(batch.context), 1), self.running_level)

    def log_prob_at(self, batch: Batch, level: Tensor) -> Tensor:
        """Return log p(value | context) at noise levels [R, 1], in SD; nats, [R]."""
        base = self.inner.base
        z = base.whiten(base.value(batch, self.target) - base.predict(batch))
        return self.inner.head.log_prob(self._parameters_at(batch, level), z) + base.log_det

    def log_prob(self, batch: Batch) -> Tensor:
        """Return log p(value | context) at the running level, nats, [R]."""
        return self.log_prob_at(batch, self._running(batch))

    def mean(self, batch: Batch) -> Tensor:
        """Return E[value | context] at the running level, [R, D]."""
        parameters = self.parameters_of(batch)
        base = self.inner.base
        return base.predict(batch) + base.unwhiten(self.inner.head.mean(parameters))

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        """Draw values at the running level, [S, R, D]."""
        parameters = self.parameters_of(batch)
        z = self.inner.head.sample(parameters, num_samples, generator)
        base = self.inner.base
        return base.predict(batch) + base.unwhiten(z)

    @property
    def has_moments(self) -> bool:
        """See `Density.has_moments`."""
        return self.inner.has_moments

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Density.moments`."""
        return self.inner.moments_of(batch, self.parameters_of(batch))


def build(
    settings: NoiseMethod, frame: Frame, base: nn.Module | None, data: PathData | None
) -> LeveledDensity:
    """See `fit.build_model`.

    Raises:
        ValueError: The base is no head with parameters.
    """
    base = stepwise.build(settings, frame, base, data)
    if not isinstance(base, ConditionalDensity) or not base.head.num_parameters:
        raise ValueError("base: a noise method needs a prediction head")
    return LeveledDensity(
        base, frame.scales, frame.window_frames, settings.width, settings.running_level
    )


class NoiseTask(PathTask):
    """One-step NLL of the clean frame from a noisy context whose level is told."""

    def __init__(self, settings: NoiseMethod, model: LeveledDensity, *rest) -> None:
        super().__init__(model, *rest)
        self._settings, self._leveled = settings, model

    def path_loss(self, frames: Tensor, speaker_mean: Tensor) -> Tensor:
        """Return the NLL at a random level for each path; half of them are clean."""
        window = self.window_frames
        shape = (len(frames), 1)
        level = self._settings.maximum_level * torch.rand(shape, device=frames.device)
        level = torch.where(torch.rand(shape, device=frames.device) < 0.5, 0.0, level)
        noise = torch.randn_like(frames[:, :window]) * self.frame_sd
        context = frames[:, :window] + level.unsqueeze(1) * noise
        batch = Batch(context, context[:, -1], frames[:, window], speaker_mean)
        return -self._leveled.log_prob_at(batch, level).mean()


task = NoiseTask
