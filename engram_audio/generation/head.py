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

from engram_audio.densities.base import Batch, LinearBase
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.factory import log_floor_of
from engram_audio.densities.gaussian_mixture import GaussianMixture
from engram_audio.densities.heads import choose_components, pick
from engram_audio.generation.mixture_score import mixture_log_prob
from engram_audio.generation.model_config import MixtureHeadSettings

DRAWS = 1  # of the head for a frame in training; other heads need several


class MixtureHead(nn.Module):
    """p(x_{t+1} | features, newest frames), in the units of the latents.

    Attributes:
        num_recent: R, newest frames that the linear base reads.
    """

    def __init__(
        self, settings: MixtureHeadSettings, width: int, base: BaseArrays, noise_sd, seed: int
    ) -> None:
        """Build the head on a linear base; it starts near the base's Gaussian law.

        Raises:
            ValueError: The base reads the speaker's other utterances, which a generator has not.
        """
        super().__init__()
        self.base = LinearBase(base)
        if self.base.has_speaker:
            raise ValueError("a generator's linear base must read the past alone")
        self.num_recent = max(self.base.order, 1)
        self.mixture = GaussianMixture(
            self.base.num_dims, settings.num_components, settings.log_sigma_range,
            log_floor_of(base, noise_sd),
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
        """Multiplications and additions of one frame: network, linear prediction, whitening."""
        base = self.base
        scale = base.num_dims if base.is_diagonal else base.num_dims**2
        network = self.output.weight.numel() + self.release.weight.numel()
        return 2 * (network + base.weight.numel() + scale)

    @property
    def num_fixed(self) -> int:
        """Numbers of the linear base, which training leaves as they are."""
        base = self.base
        scale = base.num_dims if base.is_diagonal else base.num_dims**2
        return base.weight.numel() + base.intercept.numel() + base.frame_mean.numel() + scale

    def loss(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """Return what training lowers, nats per frame, [...]."""
        return -self.log_prob(features, recent, following)

    def log_prob(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """Return log densities of the frames that follow, nats, [...].

        Args:
            features: Shape [..., H].
            recent: The newest frames, oldest first, [..., R, D].
            following: The next frame, [..., D].
        """
        predicted = self._predicted(recent)
        z = self.base.whiten(following - predicted)
        away = self.base.whiten(self._away(predicted))
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
        """Draw next frames, [S, B, D], of features [B, H].

        The temperature scales the components' variances; which component is chosen keeps its law.
        """
        log_weights, means, log_scales, _ = self.mixture.split(self.output(features))
        chosen = choose_components(log_weights, num_samples, generator)
        centre, scale = pick(means, chosen), pick(log_scales, chosen).exp()
        noise = torch.randn(centre.shape, generator=generator, device=centre.device)
        z = centre + temperature**0.5 * scale * noise
        predicted = self._predicted(recent)
        released = pick(self.release(features), chosen).unsqueeze(-1) * self._away(predicted)
        return predicted - released + self.base.unwhiten(z)

    def mean(self, features: Tensor, recent: Tensor) -> Tensor:
        """Return the expected next frame, [B, D]."""
        predicted = self._predicted(recent)
        residual = self.mixture.mean(self._law(features, predicted))
        return predicted + self.base.unwhiten(residual)

    def moments(self, features: Tensor, recent: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the next frame, each [B, D]."""
        predicted = self._predicted(recent)
        parameters = self._law(features, predicted)
        mean, variance = self.mixture.moments(self.base, parameters)
        return mean + predicted, variance

    def _law(self, features: Tensor, predicted: Tensor) -> Tensor:
        """Return the mixture of the whitened residual of a prediction [..., D], [..., P]."""
        away = self.base.whiten(self._away(predicted))
        shift = -self.release(features).unsqueeze(-1) * away.unsqueeze(-2)
        count = self.mixture.num_components  # weights first, then means, then scales
        return self.output(features) + nn.functional.pad(
            shift.flatten(-2), (count, count * self.base.num_dims)
        )

    def _away(self, predicted: Tensor) -> Tensor:
        """Return how far a prediction lies from the train mean, [..., D]."""
        return predicted - self.base.frame_mean

    def _predicted(self, recent: Tensor) -> Tensor:
        """Return the linear prediction of the next frame, [..., D]."""
        context = recent.flatten(0, -3)
        newest = context[:, -1]
        predicted = self.base.predict(Batch(context, newest, newest, newest))
        if self.base.target == "delta":
            predicted = predicted + newest
        return predicted.view(*recent.shape[:-2], -1)


def _by_dimension(values: Tensor) -> Tensor:
    """Return frames [..., D] as [D, M]."""
    return values.flatten(0, -2).T.contiguous()
