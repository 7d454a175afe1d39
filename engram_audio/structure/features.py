"""Moments of the contexts of one slice, for its linear baselines. No window is built."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engram_audio import windows
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.numerics.step_moments import StepAccumulator
from engram_audio.numerics.window_moments import WindowMoments
from engram_audio.structure.normalization import Normalization
from engram_audio.structure.targets import TRAIN, SliceTargets


class KeyContext(NamedTuple):
    """What baselines are fitted on: one slice, one lag.

    Attributes:
        source: The stream of latents (targets are taken from it).
        inputs: The same stream less the train mean.
        targets: The slice.
        normalization: Train statistics of delta in the slice.
        window_frames: Window rows of the input.
        lag_frames: k.
    """

    source: BlockSource
    inputs: BlockSource
    targets: SliceTargets
    normalization: Normalization
    window_frames: int
    lag_frames: int


def window_moments(context: KeyContext) -> WindowMoments:
    """Return moments of the train windows and their cross moments with z."""
    accumulator: StepAccumulator | None = None
    inputs = context.inputs()
    for (block, rows, span), shown in zip(
        _with_empty(context.targets, context.source), inputs, strict=True
    ):
        chosen = rows[context.targets.part[span] == TRAIN]
        if len(chosen) == 0:
            continue
        accumulator = accumulator or StepAccumulator(
            context.window_frames, block.frames.shape[1], context.lag_frames
        )
        steps = windows.increments(block.frames, block.offsets)
        accumulator.add_steps(shown.frames, steps, shown.offsets, chosen)
    if accumulator is None:
        raise ValueError("the slice has no train targets")
    moments = accumulator.moments()
    return moments._replace(cross=moments.cross / context.normalization.std)


def _with_empty(
    targets: SliceTargets, source: BlockSource
) -> Iterator[tuple[LatentBlock, np.ndarray, slice]]:
    for number, block in enumerate(source()):
        span = slice(int(targets.start[number]), int(targets.start[number + 1]))
        yield block, targets.rows[number], span
