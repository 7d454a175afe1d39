"""What SM reads along free runs in place of its own codes: does the right code matter there?

A run whose codes are swapped is judged as all free runs are. The nearest train frame tells the code
that the frame would have had on the support; codes dealt at random and the code of the frame before
tell what a wrong one costs. Nothing is trained anew, so a swap is a diagnostic and never evidence.

Shapes: B contexts, W frames of a context, D dimensions, C train frames.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from engram_audio.generation.density import GeneratorDensity, as_step_density
from engram_audio.generation.model import Generator
from engram_audio.generation.names import DEALT, NEAREST, PREVIOUS
from engram_audio.rollout.setup import ScoringSetup

PAIRS_HELD = 1 << 22  # distances at a time
DEALS = 9  # of the random numbers that deal codes

Reader = Callable[[Tensor], Tensor]


def swapped_density(model: Generator, swap: str, setup: ScoringSetup) -> GeneratorDensity:
    """Return a generator that takes steps by other codes than its own.

    Args:
        model: SM.
        swap: A name of `names.RUN_SWAPS`.
        setup: Train frames and statistics.
    """
    readers: dict[str, Reader] = {
        NEAREST: Nearest(model, setup),
        DEALT: Dealt(model, setup.generator(DEALS)),
        PREVIOUS: lambda context: previous(model, context),
    }
    return as_step_density(model, read=readers[swap])


def previous(model: Generator, context: Tensor) -> Tensor:
    """Return the code of the frame before each frame, [B, W]; no whole key at the first."""
    codes = model.codes(context)
    return torch.cat([torch.full_like(codes[:, :1], model.num_codes), codes[:, :-1]], 1)


class Dealt:
    """Codes of the contexts dealt anew among all their frames: each stays as frequent as it is."""

    def __init__(self, model: Generator, generator: torch.Generator) -> None:
        """Take the model and what deals."""
        self._model, self._generator = model, generator

    def __call__(self, context: Tensor) -> Tensor:
        """Return the codes read, [B, W]; frames without a whole key keep none."""
        codes = self._model.codes(context)
        is_whole = codes < self._model.num_codes
        is_whole = is_whole if is_whole.dim() == 2 else is_whole.all(-1)  # routes move together
        own = codes[is_whole]
        order = torch.randperm(len(own), generator=self._generator, device=own.device)
        codes[is_whole] = own[order]
        return codes


class Nearest:
    """Codes of the nearest train frames, which stand in for the frames of the context.

    A free run moves its contexts on by a frame. Then only the newest frame is looked up.
    """

    def __init__(self, model: Generator, setup: ScoringSetup) -> None:
        """Take the model and the train frames."""
        self._model, self._sd, self._train = model, setup.limits.sd, setup.support
        self._context = self._found = setup.support.new_empty(0, 0, 0)

    def __call__(self, context: Tensor) -> Tensor:
        """Return the codes read, [B, W]."""
        before = self._context
        is_next = before.shape == context.shape and torch.equal(before[:, 1:], context[:, :-1])
        if is_next:
            found = torch.cat([self._found[:, 1:], self._nearest(context[:, -1:])], 1)
        else:
            found = self._nearest(context)
        self._context, self._found = context.clone(), found
        return self._model.codes(found)

    def _nearest(self, frames: Tensor) -> Tensor:
        """Return the nearest train frames in units of the train SD, [B, T, D]."""
        train = self._train / self._sd
        parts = (frames.flatten(0, 1) / self._sd).split(max(PAIRS_HELD // len(train), 1))
        rows = torch.cat([torch.cdist(part, train).argmin(1) for part in parts])
        return self._train[rows].view_as(frames)
