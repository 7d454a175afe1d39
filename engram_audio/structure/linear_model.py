"""Ridge of the normalised step on the whole context: what a key must add to.

Fitted on the train targets of one slice at one lag. The strength is chosen on `select`, whole train
speakers that no fit sees, or on `val` where there is no `select`.

Shapes: m frames of a chunk, W window frames, D dimensions, P = W * D entries of the context.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engram_audio import windows
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.numerics.covariance import Covariance
from engram_audio.structure.features import KeyContext, window_moments
from engram_audio.structure.joint import ContextMoments, ridge_slope
from engram_audio.structure.normalization import Normalization
from engram_audio.structure.targets import SELECT, TRAIN, VAL, SliceTargets

CHUNK_FLOATS = 2**18  # of one [m, D] array, so that a chunk's arrays stay in the cache


class LinearModel(NamedTuple):
    """A ridge regression: z = (context - mean) @ slope.

    Attributes:
        moments: Train moments, with the penalty that was chosen.
        mean: Train mean of the flattened context, oldest frame first, [P], float32.
        slope: [P, D], float32.
        window_frames: W.
        lag_frames: k.
    """

    moments: ContextMoments
    mean: np.ndarray
    slope: np.ndarray
    window_frames: int
    lag_frames: int

    def context(self, block: LatentBlock, rows: np.ndarray) -> np.ndarray:
        """Return the flattened contexts of target rows less their train mean, [m, P]."""
        shape = self.lag_frames, self.window_frames
        return (
            windows.gather_contexts(block.frames, rows, *shape).reshape(len(rows), -1) - self.mean
        )

    def residual(
        self, normalization: Normalization, block: LatentBlock, rows: np.ndarray
    ) -> np.ndarray:
        """Return what the regression leaves of the normalised targets, [m, D], chunk by chunk."""
        step = max(CHUNK_FLOATS // self.slope.shape[1], 256)
        left = normalization.apply(block.frames, rows)
        for start in range(0, len(rows), step):
            chosen = slice(start, start + step)
            left[chosen] -= self.context(block, rows[chosen]) @ self.slope
        return left


class Chunk(NamedTuple):
    """Targets of a slice, a few at a time.

    Attributes:
        z: Normalised targets, [m, D], float32.
        context: Flattened contexts less their train mean, [m, P]; no entries without a model.
        place: Where they lie among the slice's targets, [m].
    """

    z: np.ndarray
    context: np.ndarray
    place: np.ndarray


def chunks(
    source: BlockSource, targets: SliceTargets, normalization: Normalization,
    model: LinearModel | None, wanted: np.ndarray,
) -> Iterator[Chunk]:  # fmt: skip
    """Yield the wanted targets ([M], bool) of a slice in chunks, in stream order."""
    step = max(CHUNK_FLOATS // len(normalization.mean), 256)
    for block, rows, span in targets.walk(source):
        own = np.flatnonzero(wanted[span])
        for start in range(0, len(own), step):
            chosen = own[start : start + step]
            z = normalization.apply(block.frames, rows[chosen])
            empty = np.empty((len(z), 0), dtype=np.float32)
            context = empty if model is None else model.context(block, rows[chosen])
            yield Chunk(z, context, span.start + chosen)


def fit_linear_model(context: KeyContext, ridges: tuple[float, ...]) -> LinearModel:
    """Fit on the train targets of a slice; choose the strength among `ridges`.

    Args:
        context: Slice, lag and window; its inputs are the frames themselves.
        ridges: Strengths, relative to the mean variance of the context's entries.
    """
    shift = _first_mean(context)
    moments = window_moments(context._replace(inputs=_shifted(context.source, shift)))
    mean = moments.mean + np.tile(shift.astype(np.float64), context.window_frames)
    covariance = Covariance(moments.covariance)
    scale = covariance.trace / len(mean)
    models = []
    for ridge in ridges:
        penalty = max(ridge * scale, np.finfo(float).tiny)
        own = ContextMoments(covariance, moments.cross, penalty)
        slope = ridge_slope(own).astype(np.float32)
        models.append(
            LinearModel(
                own, mean.astype(np.float32), slope, context.window_frames, context.lag_frames
            )
        )
    return models[_best(context, models)] if len(models) > 1 else models[0]


def _best(context: KeyContext, models: list[LinearModel]) -> int:
    """Return which model errs least on speakers, or else utterances, that no fit has seen."""
    targets = context.targets
    part = next((own for own in (SELECT, VAL) if targets.count(own)), TRAIN)
    errors = np.zeros(len(models))
    for chunk in chunks(
        context.source, targets, context.normalization, models[0], targets.part == part
    ):
        for number, model in enumerate(models):
            error = chunk.z - chunk.context @ model.slope
            errors[number] += np.einsum("md,md->", error, error, dtype=np.float64)
    return int(np.argmin(errors))


def _first_mean(context: KeyContext) -> np.ndarray:
    """Return the mean of a block's train targets, for products in single precision, shape [D].

    Frames that are no targets have no part in it: they would decide how all products round.
    """
    block, rows = next(context.targets.walk_train(context.source))
    return block.frames[rows].mean(axis=0, dtype=np.float64).astype(np.float32)


def _shifted(source: BlockSource, shift: np.ndarray) -> BlockSource:
    return lambda: (block._replace(frames=block.frames - shift) for block in source())
