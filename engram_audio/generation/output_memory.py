"""A memory in output space: a law of the next frame by code, mixed with that of the head.

    p(x) = (1 - l) head(x) + l sum_g w_{k,g} N_g(x)
    l = sigmoid(a f + b)            w_k = softmax(log w + row of code k)

N_g are Gaussians that all codes share, fitted to the train frames, and w are their weights without
a code. Nothing is added to the state. A gain over S is of rows and bank together, one over an arm
of one row or of foreign keys is of the rows.

Shapes: [...] any leading axes, B sequences, T frames, H width of the features f, G components, D
dimensions, R newest frames, S samples. A told feature is f, the logit of l and the row: H + 1 + G.
"""

from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.generation.backbone_config import OUTPUT
from engram_audio.generation.data import GeneratorData
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.heads import Head
from engram_audio.generation.insertion import Memory
from engram_audio.generation.model import Generator, Spec
from engram_audio.generation.model_config import ARMS, OutputInsertion
from engram_audio.generation.row_memory import source_of
from engram_audio.keys.bank import Bank, BankSection, fit_bank
from engram_audio.keys.encoder import KeyEncoder
from engram_audio.numerics.units import LOG_2PI

MAXIMUM_FRAMES = 40_000  # train frames that the Gaussians are fitted to
ITERATIONS, SHRINKAGE_FRAMES, NOISE_FRACTION = 10, 20.0, 0.01  # as `learned_keys.bank` has them


class OutputGate(nn.Module):
    """The logit of l, which asks the features; l starts at 1/2.

    Attributes:
        constant_gate: A value that a probe puts in place of l.
    """

    def __init__(self, width: int) -> None:
        """Make the map of features of a width."""
        super().__init__()
        self.ask = nn.Linear(width, 1)
        for parameter in self.ask.parameters():
            nn.init.zeros_(parameter)
        self.constant_gate: float | None = None

    def forward(self, features: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return told features [B, T, H + 1 + G] of features and rows, and l, [B, T]."""
        logit = self.ask(features)
        if self.constant_gate is not None:
            logit = torch.logit(torch.full_like(logit, self.constant_gate))
        return torch.cat([features, logit, rows], -1), torch.sigmoid(logit[..., 0])


class OutputHead(Head):
    """The head's law and the bank's, mixed as the told features say."""

    log_weights: Tensor
    means: Tensor
    sds: Tensor
    frame_mean: Tensor

    def __init__(self, inner: Head, num_components: int, dimensions: Dimensions) -> None:
        """Wrap a head; the bank is empty until `set_bank`.

        Raises:
            ValueError: The head has no exact density that could be mixed.
        """
        if not inner.HAS_DENSITY:
            raise ValueError("a memory of kind output mixes exact densities, which its head lacks")
        nn.Module.__init__(self)
        self.inner, self.num_recent = inner, inner.num_recent
        num_dims = len(dimensions.frame_sd)
        for name, values in (("frame_mean", dimensions.frame_mean), ("sd", dimensions.frame_sd)):
            own = torch.as_tensor(values, dtype=torch.float32)
            self.register_buffer(name, own, persistent=False)
        self.register_buffer("log_weights", torch.zeros(num_components))
        self.register_buffer("means", torch.zeros(num_components, num_dims))
        self.register_buffer("sds", torch.ones(num_components, num_dims))

    @torch.no_grad()
    def set_bank(self, bank: Bank) -> None:
        """Take Gaussians of frames in train SD."""
        self.log_weights.copy_(torch.from_numpy(np.log(bank.weights)))
        self.means.copy_(torch.from_numpy(bank.means))
        self.sds.copy_(torch.from_numpy(bank.sds))

    @property
    def flops(self) -> int:
        """See `Head.flops`; a generated frame is drawn from one of the two laws."""
        return self.inner.flops

    @property
    def flops_trained(self) -> int:
        """See `Head.flops_trained`: four operations for each mean of the bank."""
        return self.inner.flops_trained + 4 * self.means.numel()

    @property
    def num_fixed(self) -> int:
        """See `Head.num_fixed`: with the bank."""
        return self.inner.num_fixed + 2 * self.means.numel() + len(self.log_weights)

    @property
    def has_moments(self) -> bool:
        """See `Head.has_moments`."""
        return self.inner.has_moments

    def _parts(self, told: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return features [..., H], the logit of l [...] and log weights of the bank [..., G]."""
        count = len(self.log_weights)
        features, logit, rows = told.split([told.shape[-1] - count - 1, 1, count], -1)
        return features, logit[..., 0], (self.log_weights + rows.float()).log_softmax(-1)

    def loss(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """See `Head.loss`: nats."""
        return -self.log_prob(features, recent, following)

    def log_prob(self, features: Tensor, recent: Tensor, following: Tensor) -> Tensor:
        """See `Head.log_prob`; features are told ones."""
        own, logit, log_weights = self._parts(features)
        plain = self.inner.log_prob(own, recent, following)
        kept = (log_weights + self._log_components(following)).logsumexp(-1)
        shares = nn.functional.logsigmoid(torch.stack([-logit, logit]))
        return torch.logsumexp(shares + torch.stack([plain, kept]), 0)

    def _log_components(self, frames: Tensor) -> Tensor:
        """Return log N_g of frames [..., D], [..., G]."""
        scaled = ((frames - self.frame_mean) / self.sd).unsqueeze(-2)
        squares = ((scaled - self.means) / self.sds).square().sum(-1)
        fixed = self.sds.log().sum(-1) + self.sd.log().sum() + 0.5 * len(self.sd) * LOG_2PI
        return -0.5 * squares - fixed

    def sample(
        self, features: Tensor, recent: Tensor, num_samples: int, generator: torch.Generator,
        temperature: float = 1.0,
    ) -> Tensor:  # fmt: skip
        """See `Head.sample`; the temperature scales the variances of the bank too."""
        own, logit, log_weights = self._parts(features)
        plain = self.inner.sample(own, recent, num_samples, generator, temperature)
        drawn = torch.multinomial(
            log_weights.exp(), num_samples, replacement=True, generator=generator
        ).T
        noise = torch.randn(plain.shape, generator=generator, device=plain.device)
        kept = self.means[drawn] + temperature**0.5 * self.sds[drawn] * noise
        chance = torch.rand(plain.shape[:-1], generator=generator, device=plain.device)
        is_kept = (chance < torch.sigmoid(logit)).unsqueeze(-1)
        return torch.where(is_kept, self.frame_mean + self.sd * kept, plain)

    def mean(self, features: Tensor, recent: Tensor) -> Tensor:
        """See `Head.mean`."""
        own, logit, log_weights = self._parts(features)
        share = torch.sigmoid(logit).unsqueeze(-1)
        kept = self.frame_mean + self.sd * (log_weights.exp() @ self.means)
        return (1 - share) * self.inner.mean(own, recent) + share * kept

    def moments(self, features: Tensor, recent: Tensor) -> tuple[Tensor, Tensor]:
        """See `Head.moments`."""
        own, logit, log_weights = self._parts(features)
        share, weights = torch.sigmoid(logit).unsqueeze(-1), log_weights.exp()
        mean, variance = self.inner.moments(own, recent)
        kept_mean = self.frame_mean + self.sd * (weights @ self.means)
        spread = weights @ (self.sds.square() + self.means.square())
        kept_variance = self.sd.square() * (spread - (weights @ self.means).square())
        within = (1 - share) * variance + share * kept_variance
        between = share * (1 - share) * (kept_mean - mean).square()
        return (1 - share) * mean + share * kept_mean, within + between


def build(spec: Spec, key: KeyEncoder, seed: int) -> Memory:
    """Return rows and gate of an arm, untrained; see `row_memory.build`."""
    source = source_of(spec, ARMS[spec.arm], key, 1, seed)
    return Memory({OUTPUT: source}, {OUTPUT: OutputGate(spec.settings.width)})


def with_bank(spec: Spec, head: Head) -> Head:
    """Return the head that an arm's memory mixes with, or the head itself for other memories."""
    insertion = spec.insertion
    if ARMS[spec.arm].source is None or not isinstance(insertion, OutputInsertion):
        return head
    return OutputHead(head, insertion.num_components, spec.dimensions)


def fit_output(model: Generator, train: GeneratorData, choice: GeneratorData) -> None:
    """Fit the bank of a model to the train frames; nothing where it has none.

    Raises:
        ValueError: There are fewer train frames than Gaussians.
    """
    if not isinstance(model.head, OutputHead):
        return
    section = cast(OutputInsertion, model.spec.insertion)
    dimensions = model.spec.dimensions
    parts = [
        (own.used_frames().cpu().numpy() - dimensions.frame_mean) / dimensions.frame_sd
        for own in (train, choice)
    ]
    if len(parts[0]) < section.num_components:
        raise ValueError(
            f"insertion.num_components: {section.num_components} exceed the {len(parts[0])} train "
            "frames; take fewer"
        )
    settings = BankSection(
        num_components=(section.num_components,), minimum_gain_nats=0.0,
        maximum_frames=max(MAXIMUM_FRAMES, section.num_components), iterations=ITERATIONS,
        shrinkage_frames=SHRINKAGE_FRAMES, noise_fraction=NOISE_FRACTION,
    )  # fmt: skip
    floor = np.full(parts[0].shape[1], NOISE_FRACTION)
    model.head.set_bank(fit_bank(parts[0], parts[1], floor, settings, 0).bank)
