"""A generator as a density of the next frame given a context, which is what runs free.

Starts, free runs, health, guards and players of the rollout stage then apply unchanged.

Shapes: B contexts, W frames of a context, D dimensions, S samples.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from engram_audio.densities.base import Batch
from engram_audio.densities.density import Density
from engram_audio.generation.model import Generator
from engram_audio.memory.ngrams import foreign_contexts


class GeneratorDensity(Density):
    """p(x_t | context) of a generator; a foreign arm reads the codes of other contexts."""

    target = "position"

    def __init__(
        self, generator: Generator, temperature: float, read: Callable[[Tensor], Tensor] | None
    ) -> None:
        """Wrap a generator; the temperature is that of draws; see `as_step_density` for `read`."""
        super().__init__()
        self.generator, self.temperature, self._read_instead = generator, temperature, read

    @property
    def has_log_prob(self) -> bool:
        """See `Density.has_log_prob`."""
        return self.generator.head.HAS_DENSITY

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
        features = self.generator.features(batch.context, self._codes(batch.context))
        return features[:, -1], self.generator.recent(batch.context)[:, -1]

    def _codes(self, context: Tensor) -> Tensor | None:
        if self._read_instead is not None:
            return self._read_instead(context)
        if not self.generator.is_foreign:
            return None
        return self.generator.codes(foreign_contexts(context))

    def log_prob(self, batch: Batch) -> Tensor:
        """See `Density.log_prob`."""
        return self.generator.log_prob(*self._read(batch), batch.current)

    def mean(self, batch: Batch) -> Tensor:
        """See `Density.mean`."""
        return self.generator.head.mean(*self._read(batch))

    def log_prob_and_mean(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Density.log_prob_and_mean`; the generator runs once."""
        read = self._read(batch)
        return self.generator.log_prob(*read, batch.current), self.generator.head.mean(*read)

    def moments(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Density.moments`."""
        return self.generator.head.moments(*self._read(batch))

    def sample(self, batch: Batch, num_samples: int, generator: torch.Generator) -> Tensor:
        """See `Density.sample`."""
        return self.generator.sample(*self._read(batch), num_samples, generator, self.temperature)

    def gate(self, batch: Batch) -> Tensor | None:
        """Return the gate of the newest frame, the mean over places, [B]; None without one."""
        trace = self.generator.trace(batch.context, self._codes(batch.context))
        gates = [own.gate[:, -1] for own in trace.readings.values() if own.gate is not None]
        return torch.stack(gates).mean(0) if gates else None


def as_step_density(
    generator: Generator, temperature: float = 1.0,
    read: Callable[[Tensor], Tensor] | None = None,
) -> GeneratorDensity:  # fmt: skip
    """Return a generator as a density that takes steps, in evaluation mode.

    Args:
        generator: The generator.
        temperature: Of draws.
        read: Tells the codes [B, W] that are read for contexts [B, W, D] in place of its own.
    """
    return GeneratorDensity(generator, temperature, read).eval()
