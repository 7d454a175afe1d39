"""An arm as the law of z_dyn along the particles of a factoriser's bound.

Shapes: R particles, d state dimensions.
"""

import torch
from torch import Tensor

from engram_audio.generation.backbone import Cache
from engram_audio.generation.factorized.path import StatePath
from engram_audio.generation.stream import State


class ArmLaw:
    """p(z_t | z_<t) of an arm; see `factorizer.bound.StateLaw`.

    The first steps, whose frames are not scored, have the factoriser's own law: an arm knows no
    first step.
    """

    def __init__(self, path: StatePath, num_own_steps: int) -> None:
        """Stand before the first step.

        Args:
            path: The arm, and the units of z_dyn.
            num_own_steps: First steps that the factoriser's dynamics tell, at least 1.
        """
        self._model, self._units, self._own = path.generator, path.units, max(num_own_steps, 1)
        self._stream, self._features, self._count = path.generator.start(), None, 0

    def log_prob(self, state: Tensor, own: Tensor) -> Tensor:
        """See `StateLaw.log_prob`."""
        if self._features is None or self._count < self._own:
            return own
        last, white = self._model.last(self._stream), self._units.apply(state)
        return self._model.log_prob(self._features, last, white) + self._units.log_det

    def draw(self, known: Tensor, generator: torch.Generator) -> Tensor:
        """See `StateLaw.draw`."""
        if self._features is None or self._count < self._own:
            return known
        last = self._model.last(self._stream)
        white = self._model.sample(self._features, last, 1, generator)[0]
        return self._units.undo(white)

    def follow(self, state: Tensor) -> None:
        """See `StateLaw.follow`."""
        white = self._units.apply(state)
        self._features, self._stream = self._model.step(self._stream, white)
        self._count += 1

    def keep(self, order: Tensor) -> None:
        """See `StateLaw.keep`."""
        if self._features is not None:
            self._features = self._features[order]
            self._stream = _reordered(self._stream, order)


def _reordered(stream: State, order: Tensor) -> State:
    """Return what copies of some sequences carry."""
    return stream._replace(
        recent=None if stream.recent is None else stream.recent[order],
        codes=None if stream.codes is None else stream.codes[order],
        caches=tuple(_chosen(cache, order) for cache in stream.caches),
        short=None if stream.short is None else _chosen(stream.short, order),
        past={place: values[order] for place, values in stream.past.items()},
    )


def _chosen(cache: Cache, order: Tensor) -> Cache:
    return Cache(cache.keys[order], cache.values[order])
