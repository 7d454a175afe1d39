"""The energy head: a network turns features and noise into a frame, judged by its draws alone.

Loss 2 E |x - y| - E |x - x'| over n draws x of a frame, distances in train SD (CALM-text, arXiv
2510.27688; domain.md 87, without a power and with one true frame). The network has gated residual
layers and an output that starts at zero, beside a linear path from the noise: without it the first
draws would all be one.

Shapes: [...] any leading axes, H width of the features, D dimensions, E noise, S samples.
"""

import torch
from torch import Tensor, nn

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.head_config import EnergyHeadSettings
from engram_audio.generation.heads import PASSES, SampledHead, energy_score
from engram_audio.generation.rms_norm import RMSNorm

UNIFORM_SD = 12**-0.5  # of noise from -1/2 to 1/2


class GatedLayer(nn.Module):
    """h + W (SiLU(G n) * V n) with n = RMSNorm(h)."""

    def __init__(self, width: int) -> None:
        """Make the layer; it adds nothing until it is trained."""
        super().__init__()
        self.norm = RMSNorm(width)
        self.enter = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, width)
        nn.init.zeros_(self.leave.weight)
        nn.init.zeros_(self.leave.bias)

    def forward(self, hidden: Tensor) -> Tensor:
        """Return states of the same shape."""
        gate, value = self.enter(self.norm(hidden)).chunk(2, -1)
        return hidden + self.leave(nn.functional.silu(gate) * value)


class EnergyHead(SampledHead):
    """x = prediction + scale y, y = network(features, noise)."""

    def __init__(
        self, settings: EnergyHeadSettings, width: int, base: BaseArrays, dimensions: Dimensions
    ) -> None:
        """Build the network; its first draws are about the base's Gaussian law."""
        super().__init__(base, dimensions)
        self.settings, dims = settings, self.base.num_dims
        self.told = nn.Linear(width + dims, settings.width)
        self.noise = nn.Linear(settings.noise_dims, settings.width, bias=False)
        self.layers = nn.Sequential(
            *(GatedLayer(settings.width) for _ in range(settings.num_layers))
        )
        self.norm = RMSNorm(settings.width)
        self.output = nn.Linear(settings.width, dims)
        self.direct = nn.Linear(settings.noise_dims, dims, bias=False)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)
        nn.init.normal_(self.direct.weight, std=settings.noise_dims**-0.5 / UNIFORM_SD)

    @property
    def _drawn_weights(self) -> int:
        """Weights that every draw is multiplied with."""
        inside = sum(m.weight.numel() for m in self.layers.modules() if isinstance(m, nn.Linear))
        ends = (self.noise, self.output, self.direct)
        return inside + sum(own.weight.numel() for own in ends)

    @property
    def flops(self) -> int:
        """See `Head.flops`."""
        return (
            2 * (self.told.weight.numel() + self._drawn_weights) + self.base_flops + self._of_away
        )

    @property
    def flops_trained(self) -> int:
        """See `Head.flops_trained`: features are told once, the rest is worked for every draw."""
        once = 2 * self.told.weight.numel() + self.base_flops + self._of_away
        return PASSES * (once + self.settings.num_draws * 2 * self._drawn_weights)

    @property
    def _of_away(self) -> int:
        """Operations of whitening the prediction's distance from the mean."""
        return 2 * self._num_scales

    def drawn(self, features: Tensor, recent: Tensor, noise: Tensor) -> Tensor:
        """Return frames [S, ..., D] of features [..., H] and noise [S, ..., E]."""
        predicted = self.predicted(recent)
        hidden = (self.told(self.condition(features, predicted)) + self.noise(noise)).float()
        y = self.output(self.norm(self.layers(hidden))) + self.direct(noise)
        return predicted + self.base.unwhiten(y.float())

    def loss(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """See `Head.loss`."""
        shape = (self.settings.num_draws, *features.shape[:-1], self.settings.noise_dims)
        noise = torch.rand(shape, device=features.device) - 0.5
        drawn = self.drawn(features, recent, noise)
        return 2 * energy_score(drawn / self.sd, following / self.sd)

    def sample(
        self, features: Tensor, recent: Tensor, num_samples: int, generator: torch.Generator,
        temperature: float = 1.0,
    ) -> Tensor:  # fmt: skip
        """See `Head.sample`; the temperature scales the variance of the noise."""
        shape = (num_samples, len(features), self.settings.noise_dims)
        noise = torch.rand(shape, generator=generator, device=features.device) - 0.5
        return self.drawn(features, recent, temperature**0.5 * noise)


def build(
    settings: EnergyHeadSettings, width: int, base: BaseArrays, dimensions: Dimensions, seed: int
) -> EnergyHead:
    """Return an untrained head; see `heads.build_head`."""
    del seed
    return EnergyHead(settings, width, base, dimensions)
