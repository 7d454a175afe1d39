"""The flow head: from noise to the frame in few steps, matched and distilled by itself.

v(s, t, x) is the mean velocity from time s to t, noise at 0 and data at 1, so x + (t - s) v goes
there in one step (domain.md 13-15; CALM, arXiv 2509.06926, and its released training).

    matching      |v(t, t, x_t) - (y - e)|^2           x_t = t y + (1 - t) e
    distillation  |v + (t - s) dv/dt - u|^2            u = v(t, t, x_s + (t - s) v), weights fixed

The slope of v in t is a forward-mode derivative. Fused layer norms have a wrong gradient there
(pytorch issue 196700), so norms are written out. Each term L of a frame counts as L exp(w) / D - w,
with w a small network of the two times.

Shapes: [...] any leading axes, H width of the features, D dimensions, U units, S samples.
"""

import itertools
import math
from typing import cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, jvp

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.head_config import SINUSOIDS, FlowHeadSettings
from engram_audio.generation.heads import PASSES, SampledHead

SLOWEST = 1e-4  # frequency of the slowest sinusoid of a time
EPSILON, TIME_EPSILON = 1e-6, 1e-5
WEIGHT_UNITS = 32
Pair = tuple[Tensor, Tensor]


def normalised(values: Tensor) -> Tensor:
    """Return values of mean 0 and variance 1 over the last axis, written out."""
    centred = values - values.mean(-1, keepdim=True)
    return centred * (centred.square().mean(-1, keepdim=True) + EPSILON).rsqrt()


class Time(nn.Module):
    """Sinusoids of a time through two layers, divided by their SD."""

    def __init__(self, width: int) -> None:
        """Make the layers."""
        super().__init__()
        self.size = nn.Parameter(torch.ones(width))
        self.layers = nn.Sequential(nn.Linear(SINUSOIDS, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        """Return [..., U] of times [..., 1]."""
        half = SINUSOIDS // 2
        place = torch.arange(half, device=time.device) / half
        angle = time * torch.exp(math.log(SLOWEST) * place)
        found = self.layers(torch.cat([angle.cos(), angle.sin()], -1))
        return self.size * found * (found.var(-1, keepdim=True) + TIME_EPSILON).rsqrt()


class Layer(nn.Module):
    """h + gate MLP(scaled and shifted norm of h), all three told by the condition."""

    def __init__(self, width: int) -> None:
        """Make the layer; it adds nothing until it is trained."""
        super().__init__()
        self.tell = nn.Linear(width, 3 * width)
        self.layers = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        nn.init.zeros_(self.tell.weight)
        nn.init.zeros_(self.tell.bias)

    def forward(self, hidden: Tensor, told: Tensor) -> Tensor:
        """Return states of the same shape."""
        shift, scale, gate = self.tell(told).chunk(3, -1)
        return hidden + gate * self.layers(normalised(hidden) * (1 + scale) + shift)


class Velocity(nn.Module):
    """v(s, t, x) given the condition; it starts at 0."""

    def __init__(self, num_told: int, num_dims: int, width: int, num_layers: int) -> None:
        """Make the network."""
        super().__init__()
        self.enter, self.told = nn.Linear(num_dims, width), nn.Linear(num_told, width)
        self.first, self.last = Time(width), Time(width)
        self.layers = nn.ModuleList(Layer(width) for _ in range(num_layers))
        self.tell = nn.Linear(width, 2 * width)
        self.leave = nn.Linear(width, num_dims)
        for own in (self.tell, self.leave):
            nn.init.zeros_(own.weight)
            nn.init.zeros_(own.bias)

    def forward(self, s: Tensor, t: Tensor, x: Tensor, condition: Tensor) -> Tensor:
        """Return velocities [..., D] of times [..., 1], states [..., D], conditions [..., C]."""
        told = self.told(condition) + (self.first(s) + self.last(t)) / 2
        told = nn.functional.silu(told)
        hidden = self.enter(x)
        for layer in self.layers:
            hidden = layer(hidden, told)
        shift, scale = self.tell(told).chunk(2, -1)
        return self.leave(normalised(hidden) * (1 + scale) + shift)


class FlowHead(SampledHead):
    """x = prediction + scale y, y the end of the flow that starts at noise."""

    def __init__(
        self, settings: FlowHeadSettings, width: int, base: BaseArrays, dimensions: Dimensions
    ) -> None:
        """Build the network; its first draws are the base's Gaussian law."""
        super().__init__(base, dimensions)
        self.settings, dims = settings, self.base.num_dims
        self.velocity = Velocity(width + dims, dims, settings.width, settings.num_layers)
        units = [2, WEIGHT_UNITS, WEIGHT_UNITS, WEIGHT_UNITS]
        inner = [
            part
            for enter, leave in itertools.pairwise(units)
            for part in (nn.Linear(enter, leave), nn.SiLU())
        ]
        last = nn.Linear(WEIGHT_UNITS, 1)
        self.weight = nn.Sequential(*inner, last)
        for own in last.parameters():
            nn.init.zeros_(own)

    @property
    def _step_flops(self) -> int:
        maps = [own for own in self.velocity.modules() if isinstance(own, nn.Linear)]
        return 2 * sum(own.weight.numel() for own in maps)

    @property
    def flops(self) -> int:
        """See `Head.flops`: every step runs the network once."""
        return self.settings.num_steps * self._step_flops + self.base_flops + 2 * self._num_scales

    @property
    def flops_trained(self) -> int:
        """See `Head.flops_trained`: distillation runs the network twice more, with its slope."""
        share = 1 + 2 * self.settings.distilled_share
        weight = sum(own.numel() for own in self.weight.parameters() if own.dim() > 1)
        own = self.settings.num_draws * (self._step_flops * share + 2 * weight)
        return round(PASSES * own) + self.base_flops + 4 * self._num_scales

    def loss(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """See `Head.loss`."""
        own = self.settings
        predicted = self.predicted(recent)
        data = self.base.whiten(following - predicted)
        count = (own.num_draws, *data.shape[:-1])
        noise = torch.randn(*count, data.shape[-1], device=data.device)
        times = own.time_mean + own.time_sd * torch.randn(2, *count, 1, device=data.device)
        s, t = times.sigmoid().sort(0).values
        is_distilled = bool(torch.rand(()) < own.distilled_share)
        told = self.condition(features, predicted).expand(*count, -1)
        found = own.matching_weight * self._matching(t, data, noise, told)
        if is_distilled:
            weight = (1 - own.matching_weight) / own.distilled_share
            found = found + weight * self._distillation(s, t, data, noise, told)
        return found.mean(0)

    def _matching(self, t: Tensor, data: Tensor, noise: Tensor, told: Tensor) -> Tensor:
        found = self.velocity(t, t, t * data + (1 - t) * noise, told)
        return self._weighed(found - (data - noise), t, t)

    def _distillation(
        self, s: Tensor, t: Tensor, data: Tensor, noise: Tensor, told: Tensor
    ) -> Tensor:
        start = s * data + (1 - s) * noise

        def velocity(last: Tensor) -> Tensor:
            return self.velocity(s, last, start, told)

        found, slope = cast(Pair, jvp(velocity, (t,), (torch.ones_like(t),)))
        there = start + (t - s) * found
        target = functional_call(self.velocity, self.fixed(), (t, t, there, told.detach()))
        return self._weighed(found + (t - s) * slope - target, s, t)

    def fixed(self) -> dict[str, Tensor]:
        """Return the weights of the velocity that a target is told by, without a gradient."""
        return {name: own.detach() for name, own in self.velocity.named_parameters()}

    def _weighed(self, missed: Tensor, s: Tensor, t: Tensor) -> Tensor:
        """Return L exp(w) / D - w of errors [S, ..., D], [S, ...]."""
        w = self.weight(torch.cat([s, t], -1)).squeeze(-1)
        exact = torch.promote_types(missed.dtype, torch.float32)
        return missed.to(exact).square().mean(-1) * w.to(exact).exp() - w.to(exact)

    def sample(
        self, features: Tensor, recent: Tensor, num_samples: int, generator: torch.Generator,
        temperature: float = 1.0,
    ) -> Tensor:  # fmt: skip
        """See `Head.sample`; the temperature scales the variance of the noise."""
        predicted = self.predicted(recent)
        told = self.condition(features, predicted).expand(num_samples, *features.shape[:-1], -1)
        shape = (num_samples, *predicted.shape)
        y = temperature**0.5 * torch.randn(shape, generator=generator, device=features.device)
        times = torch.linspace(0, 1, self.settings.num_steps + 1, device=features.device)
        for s, t in itertools.pairwise(times):
            ones = y.new_ones(*y.shape[:-1], 1)
            y = y + (t - s) * self.velocity(s * ones, t * ones, y, told)
        return predicted + self.base.unwhiten(y.float())


def build(
    settings: FlowHeadSettings, width: int, base: BaseArrays, dimensions: Dimensions, seed: int
) -> FlowHead:
    """Return an untrained head; see `heads.build_head`."""
    del seed
    return FlowHead(settings, width, base, dimensions)
