"""The head: a mixture of the whitened residual that the linear null leaves of the next frame.

The linear null sees the newest clean frames once more, so the network says what it does not. Where
the network knows the next frame itself, it would have to undo the null's prediction, which reads
several frames. So each component may let go of it: the release r that the features tell, 0 at the
start, takes away r times the prediction's distance from the train mean.

Shapes: [...] any leading axes, H width of the features, R newest frames, D dimensions, K
components, P parameters of the mixture, S samples.
"""

import torch
from torch import Tensor, nn

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.factory import log_floor_of
from engram_audio.densities.gaussian_mixture import GaussianMixture
from engram_audio.densities.heads import choose_components, pick
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.head_config import MixtureHeadSettings
from engram_audio.generation.heads import Head
from engram_audio.generation.mixture_score import mixture_log_prob


class MixtureHead(Head):
    """p(x_{t+1} | features, newest frames), in the units of the latents."""

    def __init__(
        self, settings: MixtureHeadSettings, width: int, base: BaseArrays, dimensions: Dimensions,
        seed: int,
    ) -> None:  # fmt: skip
        """Build the head on a linear base; it starts near the base's Gaussian law."""
        super().__init__(base, dimensions)
        self.mixture = GaussianMixture(
            self.base.num_dims, settings.num_components, settings.log_sigma_range,
            log_floor_of(base, dimensions.noise_sd),
        )  # fmt: skip
        with torch.device("cpu"):  # also where the model itself is only measured, not made
            start = self.mixture.initial_parameters(torch.Generator().manual_seed(seed))
        self.output = nn.Linear(width, len(start))
        with torch.no_grad():
            self.output.weight.mul_(settings.output_scale)
            self.output.bias.copy_(start)
        self.release = nn.Linear(width, settings.num_components)
        nn.init.zeros_(self.release.weight)
        nn.init.zeros_(self.release.bias)

    @property
    def flops(self) -> int:
        """See `Head.flops`."""
        network = self.output.weight.numel() + self.release.weight.numel()
        return 2 * network + self.base_flops

    def loss(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """See `Head.loss`: nats."""
        return -self.log_prob(features, recent, following)

    def log_prob(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """See `Head.log_prob`."""
        predicted = self.predicted(recent)
        z = self.base.whiten(following - predicted)
        away = self.base.whiten(self.away(predicted))
        found = mixture_log_prob(
            self._values(features.flatten(0, -2)), _by_dimension(z), _by_dimension(away),
            self.mixture.log_floor, self.mixture.log_ceiling,
        )  # fmt: skip
        return found.view(z.shape[:-1]) + self.base.log_det

    def _values(self, features: Tensor) -> Tensor:
        """Return parameters and releases of features [M, H], a column for each frame."""
        weight = torch.cat([self.output.weight, self.release.weight])
        bias = torch.cat([self.output.bias, self.release.bias])
        return torch.addmm(bias.unsqueeze(1), weight, features.T)

    def sample(
        self, features: Tensor, recent: Tensor, num_samples: int, generator: torch.Generator,
        temperature: float = 1.0,
    ) -> Tensor:  # fmt: skip
        """See `Head.sample`.

        The temperature scales the components' variances; which component is chosen keeps its law.
        """
        count, dims = self.mixture.num_components, self.base.num_dims
        parameters = self.output(features).float()
        chosen = choose_components(
            parameters[:, :count].log_softmax(-1), num_samples, generator
        )  # fmt: skip
        both = parameters[:, count:].view(-1, 2, count, dims).transpose(1, 2)
        centre, raw = pick(both, chosen).unbind(-2)
        noise = torch.randn(centre.shape, generator=generator, device=centre.device)
        z = centre + temperature**0.5 * self.mixture.clamped(raw).exp() * noise
        predicted = self.predicted(recent)
        released = pick(self.release(features), chosen).unsqueeze(-1) * self.away(predicted)
        return predicted - released + self.base.unwhiten(z)

    def mean(self, features: Tensor, recent: Tensor) -> Tensor:
        """See `Head.mean`."""
        predicted = self.predicted(recent)
        residual = self.mixture.mean(self._law(features, predicted))
        return predicted + self.base.unwhiten(residual)

    def moments(self, features: Tensor, recent: Tensor) -> tuple[Tensor, Tensor]:
        """See `Head.moments`."""
        predicted = self.predicted(recent)
        parameters = self._law(features, predicted)
        mean, variance = self.mixture.moments(self.base, parameters)
        return mean + predicted, variance

    def _law(self, features: Tensor, predicted: Tensor) -> Tensor:
        """Return the mixture of the whitened residual of a prediction [..., D], [..., P]."""
        away = self.base.whiten(self.away(predicted))
        shift = -self.release(features).unsqueeze(-1) * away.unsqueeze(-2)
        count = self.mixture.num_components  # weights first, then means, then scales
        return self.output(features) + nn.functional.pad(
            shift.flatten(-2), (count, count * self.base.num_dims)
        )


def _by_dimension(values: Tensor) -> Tensor:
    """Return frames [..., D] as [D, M]."""
    return values.flatten(0, -2).T.contiguous()


def build(
    settings: MixtureHeadSettings, width: int, base: BaseArrays, dimensions: Dimensions, seed: int
) -> MixtureHead:
    """Return an untrained head; see `heads.build_head`."""
    return MixtureHead(settings, width, base, dimensions, seed)
