"""What every head of a generator is: it draws the next frame, and scores it by a proper score.

A head with an exact density is scored by its NLL in nats. One without is scored by the energy score
of its draws, in train SD: E |x - y| - E |x - x'| / 2 with draws x, x' and the true frame y. It is
strictly proper and unbiased, and it is no likelihood: nothing of such a head is in nats.

Shapes: [...] any leading axes, H width of the features, R newest frames, D dimensions, S samples.
"""

import torch
from torch import Tensor, nn

from engram_audio.densities.base import Batch, LinearBase
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.head_config import AnyGeneratorHead

SCORE_DRAWS = 8  # of the energy score, the same for every head
MEAN_DRAWS = 64  # of the mean of a head that has none in closed form
PASSES = 3  # of training: forward, gradient of the inputs, gradient of the weights


class Head(nn.Module):
    """Draws the next frame given features and newest frames, in the units of the latents.

    Attributes:
        HAS_DENSITY: Whether `log_prob` is exact.
        num_recent: R, newest frames that the linear base reads.
    """

    HAS_DENSITY = True
    sd: Tensor

    def __init__(self, base: BaseArrays, dimensions: Dimensions) -> None:
        """Take the linear base, and the train SD for scores.

        Raises:
            ValueError: The base reads the speaker's other utterances, which a generator has not.
        """
        super().__init__()
        self.base = LinearBase(base)
        if self.base.has_speaker:
            raise ValueError("a generator's linear base must read the past alone")
        self.num_recent = max(self.base.order, 1)
        sd = torch.as_tensor(dimensions.frame_sd, dtype=torch.float32)
        self.register_buffer("sd", sd, persistent=False)

    @property
    def flops(self) -> int:
        """Multiplications and additions of one generated frame."""
        raise NotImplementedError

    @property
    def flops_trained(self) -> int:
        """The same of one train frame, backward passes included."""
        return PASSES * self.flops

    @property
    def base_flops(self) -> int:
        """Those of linear prediction and whitening."""
        return 2 * (self.base.weight.numel() + self._num_scales)

    @property
    def num_fixed(self) -> int:
        """Numbers of the linear base, which training leaves as they are."""
        base = self.base
        return (
            base.weight.numel() + base.intercept.numel() + base.frame_mean.numel()
            + self._num_scales
        )  # fmt: skip

    @property
    def _num_scales(self) -> int:
        return self.base.num_dims if self.base.is_diagonal else self.base.num_dims**2

    def loss(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """Return what training lowers, per frame, [...]; draws come from torch's own state.

        Args:
            features: Shape [..., H].
            recent: The newest frames, oldest first, [..., R, D].
            following: The next frame, [..., D].
        """
        raise NotImplementedError

    def log_prob(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """Return log densities of the frames that follow, nats, [...]; see `loss`.

        Raises:
            NotImplementedError: The head has no exact density.
        """
        raise NotImplementedError(f"{type(self).__name__} has no exact density")

    def score(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """Return what choices are made on, per frame, [...]: NLL in nats, or energy score in SD."""
        if self.HAS_DENSITY:
            return -self.log_prob(features, recent, following)
        generator = torch.Generator(features.device).manual_seed(0)
        drawn = self.sample(
            features.flatten(0, -2), recent.flatten(0, -3), SCORE_DRAWS, generator
        )  # fmt: skip
        true = following.flatten(0, -2)
        return energy_score(drawn / self.sd, true / self.sd).view(following.shape[:-1])

    def sample(
        self, features: Tensor, recent: Tensor, num_samples: int, generator: torch.Generator,
        temperature: float = 1.0,
    ) -> Tensor:  # fmt: skip
        """Draw next frames, [S, B, D], of features [B, H]; the temperature scales variances."""
        raise NotImplementedError

    @property
    def has_moments(self) -> bool:
        """Whether `moments` is in closed form."""
        return self.HAS_DENSITY

    def mean(self, features: Tensor, recent: Tensor) -> Tensor:
        """Return the expected next frame, [B, D]; without a closed form that of some draws."""
        generator = torch.Generator(features.device).manual_seed(0)
        return self.sample(features, recent, MEAN_DRAWS, generator).mean(0)

    def moments(self, features: Tensor, recent: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean and variance of the next frame, each [B, D].

        Raises:
            NotImplementedError: There is no closed form.
        """
        raise NotImplementedError(f"{type(self).__name__} has no moments in closed form")

    def away(self, predicted: Tensor) -> Tensor:
        """Return how far a prediction lies from the train mean, [..., D]."""
        return predicted - self.base.frame_mean

    def predicted(self, recent: Tensor) -> Tensor:
        """Return the linear prediction of the next frame, [..., D]."""
        context = recent.flatten(0, -3)
        newest = context[:, -1]
        predicted = self.base.predict(Batch(context, newest, newest, newest))
        if self.base.target == "delta":
            predicted = predicted + newest
        return predicted.view(*recent.shape[:-2], -1)


class SampledHead(Head):
    """A head without a density: y = network(features, noise) is the whitened residual.

    The network also sees, whitened, how far the linear prediction lies from the train mean, so
    that it can let go of it as the mixture's components can.
    """

    HAS_DENSITY = False

    def condition(self, features: Tensor, predicted: Tensor) -> Tensor:
        """Return what the network is told of frames, [..., H + D]."""
        return torch.cat([features, self.base.whiten(self.away(predicted))], -1)


def build_head(
    settings: AnyGeneratorHead, width: int, base: BaseArrays, dimensions: Dimensions, seed: int
) -> Head:
    """Build the head of a section by the `build` of its kind; weights come from torch's state.

    Args:
        settings: The section.
        width: H.
        base: The linear null under the head.
        dimensions: Train statistics.
        seed: Decides starts that are drawn apart.
    """
    module, own = settings.behaviour()
    return module.build(own, width, base, dimensions, seed)


def energy_score(drawn: Tensor, true: Tensor) -> Tensor:
    """Return the unbiased energy score of draws [S, ..., D] of true values [..., D], [...].

    It is E |x - y| - E |x - x'| / 2, over all pairs of different draws; at least two are needed.
    """
    count = len(drawn)
    told = (drawn - true).norm(dim=-1).mean(0)
    pairs = torch.combinations(torch.arange(count, device=drawn.device))
    apart = (drawn[pairs[:, 0]] - drawn[pairs[:, 1]]).norm(dim=-1).mean(0)
    return told - 0.5 * apart
