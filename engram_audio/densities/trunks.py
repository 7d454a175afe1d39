"""From context to the parameters of a head.

Shapes: B targets, W window, D dimensions, E frame embedding, P parameters.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from engram_audio.densities.config import TrunkSettings
from engram_audio.densities.reference import InputScales


class ParameterSource(nn.Module, ABC):
    """From contexts [B, W, D] to the parameters of a head, [B, P]."""

    @abstractmethod
    def flops(self) -> int:
        """Return the multiplications and additions of one target."""

    def common_parameters(self) -> Tensor | None:
        """Return the parameters [1, P] of all contexts; None where contexts differ."""
        return None


def linear_flops(module: nn.Module) -> int:
    """Return the multiplications and additions of a module's linear layers, each used once."""
    return sum(2 * weight.numel() for weight in module.parameters() if weight.dim() == 2)


class FreeParameters(ParameterSource):
    """No context: one learned vector for every frame."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.parameters_vector = nn.Parameter(start.clone())

    def forward(self, context: Tensor) -> Tensor:
        """Return the vector for each target, shape [B, P] (expanded, not copied)."""
        return self.parameters_vector.expand(len(context), -1)

    def common_parameters(self) -> Tensor:
        """See `ParameterSource.common_parameters`."""
        return self.parameters_vector.unsqueeze(0)

    def flops(self) -> int:
        """See `ParameterSource.flops`: there is nothing to do."""
        return 0


class ContextInput(nn.Module):
    """Normalises a context: raw frames, or the newest frame and the steps between frames."""

    frame_mean: Tensor
    frame_sd: Tensor
    delta_sd: Tensor

    def __init__(self, scales: InputScales, is_increments: bool, clip: float | None) -> None:
        super().__init__()
        for name, values in scales._asdict().items():
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))
        self.is_increments = is_increments
        self.clip = clip

    def forward(self, context: Tensor) -> Tensor:
        """Return inputs of unit order, [B, W, D]; with increments the newest frame is last."""
        if self.is_increments:
            steps = (context[:, 1:] - context[:, :-1]) / self.delta_sd
            newest = (context[:, -1:] - self.frame_mean) / self.frame_sd
            inputs = torch.cat([steps, newest], 1)
        else:
            inputs = (context - self.frame_mean) / self.frame_sd
        if self.clip is None:
            return inputs
        return self.clip * torch.asinh(inputs / self.clip)


def _hidden_layers(num_inputs: int, settings: TrunkSettings) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for index in range(settings.num_layers):
        layers += [
            nn.Linear(num_inputs if index == 0 else settings.width, settings.width),
            nn.GELU(),
        ]
        if settings.dropout > 0:
            layers.append(nn.Dropout(settings.dropout))
    return layers


class Trunk(ParameterSource):
    """Contexts to hidden features, and these to parameters by one last layer."""

    output: nn.Linear

    def __init__(
        self, num_dims: int, window_frames: int, settings: TrunkSettings, scales: InputScales
    ) -> None:
        super().__init__()
        self.num_dims, self.window_frames = num_dims, window_frames
        self.inputs = ContextInput(scales, settings.context == "increments", settings.input_clip)

    @abstractmethod
    def features(self, context: Tensor) -> Tensor:
        """Return what the last layer reads, shape [B, width], of contexts [B, W, D]."""

    def forward(self, context: Tensor) -> Tensor:
        """Return parameters, shape [B, P], of contexts [B, W, D]."""
        return self.output(self.features(context))

    def flops(self) -> int:
        """See `ParameterSource.flops`."""
        return linear_flops(self)


class Mlp(Trunk):
    """All frames, flattened, through hidden layers."""

    def __init__(
        self,
        num_dims: int,
        window_frames: int,
        num_parameters: int,
        settings: TrunkSettings,
        scales: InputScales,
    ) -> None:
        super().__init__(num_dims, window_frames, settings, scales)
        self.hidden = nn.Sequential(*_hidden_layers(window_frames * num_dims, settings))
        self.output = nn.Linear(settings.width, num_parameters)

    def features(self, context: Tensor) -> Tensor:
        """See `Trunk.features`."""
        return self.hidden(self.inputs(context).flatten(1))


class SharedFrames(Trunk):
    """One gated embedding shared by all frames, then hidden layers.

    The product of two projections makes second-order features (signs, energies) directly, and
    sharing it over the window learns them from W times the data.
    """

    def __init__(
        self,
        num_dims: int,
        window_frames: int,
        num_parameters: int,
        settings: TrunkSettings,
        scales: InputScales,
    ) -> None:
        super().__init__(num_dims, window_frames, settings, scales)
        width = settings.frame_width
        self.embed = nn.Linear(num_dims, 3 * width)
        self.mix = nn.Sequential(nn.Linear(2 * width, width), nn.GELU())
        self.newest = nn.Linear(num_dims, width)
        self.hidden = nn.Sequential(*_hidden_layers(window_frames * width, settings))
        self.output = nn.Linear(settings.width, num_parameters)

    def features(self, context: Tensor) -> Tensor:
        """See `Trunk.features`."""
        inputs = self.inputs(context)
        plain, left, right = self.embed(inputs[:, :-1]).chunk(3, -1)
        embedded = self.mix(torch.cat([plain, left * right], -1)).flatten(1)
        return self.hidden(torch.cat([embedded, self.newest(inputs[:, -1])], 1))

    def flops(self) -> int:
        """See `ParameterSource.flops`; the embedding runs once for every frame but the newest."""
        again = linear_flops(self.embed) + linear_flops(self.mix)
        return super().flops() + (self.window_frames - 2) * again


def build_trunk(
    settings: TrunkSettings,
    window_frames: int,
    start: Tensor,
    scales: InputScales,
) -> Trunk:
    """Build a trunk whose output starts near `start` (shape [P]) for every context."""
    kinds = {"mlp": Mlp, "shared_frames": SharedFrames}
    trunk = kinds[settings.kind](
        len(scales.frame_mean), window_frames, len(start), settings, scales
    )
    with torch.no_grad():
        trunk.output.weight.mul_(settings.output_scale)
        trunk.output.bias.mul_(settings.output_scale).add_(start)
    return trunk
