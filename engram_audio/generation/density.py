"""A generator as a density of the next frame given a context, which is what runs free.

Starts, free runs, health, guards and players of the rollout stage then apply unchanged.

Shapes: B contexts, W frames of a context, D dimensions, S samples.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Density
from engram_audio.generation.arm_checks import require_guided
from engram_audio.generation.condition import Condition, guided
from engram_audio.generation.model import Generator
from engram_audio.memory.ngrams import foreign_contexts


class Sampling(NamedTuple):
    """How draws are made.

    Attributes:
        temperature: What variances are multiplied by.
        guidance: How far draws go along the way from the law without the condition to the law with
            it. 1: as far as the latter.
    """

    temperature: float = 1.0
    guidance: float = 1.0


PLAIN = Sampling()


class GeneratorDensity(Density):
    """p(x_t | context) of a generator; a foreign arm reads the codes of other contexts.

    Attributes:
        condition: What contexts are told; None tells nothing.
        first_frame: Number of a context's first frame in its utterance, for the condition.
    """

    target = "position"

    def __init__(
        self, generator: Generator, sampling: Sampling, read: Callable[[Tensor], Tensor] | None
    ) -> None:
        """Wrap a generator; see `as_step_density`."""
        super().__init__()
        self.generator, self.sampling, self._read_instead = generator, sampling, read
        self.condition: Condition | None = None
        self.first_frame = 0

    @property
    def has_log_prob(self) -> bool:
        """See `Density.has_log_prob`."""
        return self.generator.head.HAS_DENSITY and self.sampling.guidance == 1

    @property
    def has_moments(self) -> bool:
        """See `Density.has_moments`."""
        return self.generator.head.has_moments

    @property
    def is_mean_sampled(self) -> bool:
        """See `Density.is_mean_sampled`."""
        return not self.generator.head.has_moments

    def _read(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the newest features, [B, H], and the newest frames, [B, R, D]."""
        return self._features(batch.context), self.generator.recent(batch.context)[:, -1]

    def _features(self, context: Tensor) -> Tensor:
        """Return the features that draws are made of, [B, H]."""
        codes, scale = self._codes(context), self.sampling.guidance
        condition = None if self.condition is None else self.condition.at(self.first_frame)
        told = self.generator.features(context, codes, condition)[:, -1]
        if condition is None or scale == 1:
            return told
        return guided(told, self.generator.features(context, codes)[:, -1], scale)

    def _codes(self, context: Tensor) -> Tensor | None:
        if self._read_instead is not None:
            return self._read_instead(context)
        if not self.generator.is_foreign:
            return None
        return self.generator.codes(foreign_contexts(context))

    def log_prob(self, batch: Batch) -> Tensor:
        """See `Density.log_prob`; a guided law is drawn from and never scored."""
        self._require_density()
        return self.generator.log_prob(*self._read(batch), batch.current)

    def mean(self, batch: Batch) -> Tensor:
        """See `Density.mean`."""
        return self.generator.head.mean(*self._read(batch))

    def log_prob_and_mean(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Density.log_prob_and_mean`; the generator runs once."""
        self._require_density()
        read = self._read(batch)
        return self.generator.log_prob(*read, batch.current), self.generator.head.mean(*read)

    def _require_density(self) -> None:
        if self.sampling.guidance != 1:
            raise NotImplementedError("a guided law has no NLL of the model")

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Density.moments`."""
        return self.generator.head.moments(*self._read(batch))

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `Density.sample`."""
        temperature = self.sampling.temperature
        return self.generator.sample(*self._read(batch), num_samples, generator, temperature)

    def gate(self, batch: Batch) -> Tensor | None:
        """Return the gate of the newest frame, the mean over places, [B]; None without one."""
        trace = self.generator.trace(batch.context, self._codes(batch.context))
        gates = [own.gate[:, -1] for own in trace.readings.values() if own.gate is not None]
        return torch.stack(gates).mean(0) if gates else None


def as_step_density(
    generator: Generator, sampling: Sampling = PLAIN,
    read: Callable[[Tensor], Tensor] | None = None,
) -> GeneratorDensity:  # fmt: skip
    """Return a generator as a density that takes steps, in evaluation mode.

    Args:
        generator: The generator.
        sampling: How draws are made.
        read: Tells the codes [B, W] that are read for contexts [B, W, D] in place of its own.

    Raises:
        ValueError: Guidance is asked of an arm that has no guided law.
    """
    if sampling.guidance != 1:
        spec = generator.spec
        require_guided("guidance", spec.arm, spec.insertion, spec.settings)
    return GeneratorDensity(generator, sampling, read).eval()
