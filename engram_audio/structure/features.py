"""Features of the context that keys quantise: mean, principal components, newest frame, predictor.

Every feature is fitted on the train targets of one slice at one lag and then is a function of a
block and its target rows. None of them builds a window.

Shapes: M targets, W window rows, D dimensions, Q feature dimensions.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from scipy import linalg

from engram_audio import windows
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.numerics.subspace import leading_eigenvectors
from engram_audio.numerics.window_moments import WindowAccumulator, WindowMoments
from engram_audio.structure.config import KeyFamilySection, PcaKeys, PredictiveKeys
from engram_audio.structure.normalization import Normalization
from engram_audio.structure.targets import TRAIN, SliceTargets

# Features of a block's target rows, [M, Q] float32
Extractor = Callable[[LatentBlock, np.ndarray], np.ndarray]


class KeyContext(NamedTuple):
    """What a family is fitted on: one input, one slice, one lag.

    Attributes:
        source: The stream of latents (targets are taken from it).
        inputs: The stream of the key's input, the same blocks.
        targets: The slice.
        normalization: Train statistics of delta in the slice.
        window_frames: Window rows of the input.
        lag_frames: k.
        ridge: Ridge of linear fits, relative to the mean variance of the context.
    """

    source: BlockSource
    inputs: BlockSource
    targets: SliceTargets
    normalization: Normalization
    window_frames: int
    lag_frames: int
    ridge: float


def fit_extractor(family: KeyFamilySection, context: KeyContext) -> Extractor:
    """Fit a family's features on train and return them as a function of (input block, rows)."""
    lag, width = context.lag_frames, context.window_frames
    if family.kind == "target_oracle":
        return lambda block, rows: context.normalization.apply(block.frames, rows)
    if family.kind == "mean_pool":
        return lambda block, rows: windows.mean_pool(block.frames, rows, lag, width)
    if family.kind == "last_frame":
        return lambda block, rows: block.frames[rows - lag]
    components = _components(family, context)
    return lambda block, rows: windows.project_contexts(block.frames, rows, lag, components)


def _components(family: PcaKeys | PredictiveKeys, context: KeyContext) -> np.ndarray:
    """Return linear components, [W, D, Q]."""
    moments = window_moments(context, with_targets=family.kind == "predictive")
    size = len(moments.mean)
    if family.kind == "pca":
        count = min(family.num_components, size)
        vectors = leading_eigenvectors(moments.covariance, count)[1]
    else:
        vectors = reduced_rank(moments, context.ridge, family.num_components)
    return vectors.reshape(context.window_frames, -1, vectors.shape[1]).astype(np.float32)


def window_moments(context: KeyContext, with_targets: bool) -> WindowMoments:
    """Return moments of the train windows, with cross moments of z where they are wanted."""
    accumulator: WindowAccumulator | None = None
    inputs = context.inputs()
    for (block, rows, span), shown in zip(
        _with_empty(context.targets, context.source), inputs, strict=True
    ):
        chosen = rows[context.targets.part[span] == TRAIN]
        if len(chosen) == 0:
            continue
        if accumulator is None:
            num_dims = block.frames.shape[1]
            accumulator = WindowAccumulator(
                context.window_frames, num_dims, num_dims if with_targets else 0
            )
        normalized = context.normalization.apply(block.frames, chosen) if with_targets else None
        accumulator.add(shown.frames, shown.offsets, chosen, context.lag_frames, normalized)
    if accumulator is None:
        raise ValueError("the slice has no train targets")
    return accumulator.moments()


def _with_empty(
    targets: SliceTargets, source: BlockSource
) -> Iterator[tuple[LatentBlock, np.ndarray, slice]]:
    for number, block in enumerate(source()):
        span = slice(int(targets.start[number]), int(targets.start[number + 1]))
        yield block, targets.rows[number], span


def ridge_weights(moments: WindowMoments, ridge: float) -> np.ndarray:
    """Return the ridge regression of z on the window, [W * D, T].

    The penalty is `ridge` times the mean variance of the window's entries.
    """
    penalised = moments.covariance.copy(order="F")  # so that LAPACK factors it in place
    penalty = ridge * float(np.trace(penalised)) / len(penalised)
    penalised[np.diag_indices_from(penalised)] += max(penalty, np.finfo(float).tiny)
    factor = linalg.cho_factor(penalised, lower=True, overwrite_a=True, check_finite=False)
    return linalg.cho_solve(factor, moments.cross, check_finite=False)


def reduced_rank(moments: WindowMoments, ridge: float, rank: int) -> np.ndarray:
    """Return the window directions of a reduced-rank regression of z, [W * D, rank].

    The ridge prediction is projected on the leading eigenvectors of its own covariance: the
    directions of z that the context predicts best, in units of predicted z.
    """
    weights = ridge_weights(moments, ridge)
    predicted = weights.T @ moments.covariance @ weights
    rank = min(rank, len(predicted))
    return weights @ leading_eigenvectors((predicted + predicted.T) / 2, rank)[1]


def num_features(family: KeyFamilySection, window_frames: int, num_dims: int) -> int:
    """Return Q of a family's features on windows of [window_frames, num_dims]."""
    if family.kind == "pca":
        return min(family.num_components, window_frames * num_dims)
    if family.kind == "predictive":
        return min(family.num_components, num_dims)
    return num_dims


class FeatureStream:
    """Features of all targets of a slice: held in memory where they fit, streamed otherwise."""

    def __init__(
        self,
        extract: Extractor,
        num_features: int,
        inputs: BlockSource,
        targets: SliceTargets,
        max_bytes: int,
    ) -> None:
        """Compute all features if they fit into `max_bytes`, none otherwise."""
        self._extract, self._inputs, self._targets = extract, inputs, targets
        self._width, self._max_bytes = num_features, max_bytes
        self._held: np.ndarray | None = None
        if self._bytes(len(targets.part)) <= max_bytes:
            self._held = np.empty((len(targets.part), self._width), dtype=np.float32)
            for values, span in self._stream():
                self._held[span] = values

    def blocks(self) -> Iterator[tuple[np.ndarray, slice]]:
        """Yield features [m, Q] and their span among the slice's targets."""
        if self._held is not None:
            yield self._held, slice(0, len(self._held))
        else:
            yield from self._stream()

    def train_sample(self) -> np.ndarray:
        """Return features of train targets, evenly thinned to `max_bytes`, [m, Q]."""
        is_train = self._targets.part == TRAIN
        num_train = int(np.count_nonzero(is_train))
        size = min(num_train, max(self._max_bytes // self._bytes(1), 1))
        chosen = np.flatnonzero(is_train)[(np.arange(size) * num_train) // max(size, 1)]
        if self._held is not None:
            return self._held[chosen]
        sample = np.empty((size, self._width), dtype=np.float32)
        for values, span in self._stream():
            low, high = np.searchsorted(chosen, [span.start, span.stop])
            sample[low:high] = values[chosen[low:high] - span.start]
        return sample

    def _stream(self) -> Iterator[tuple[np.ndarray, slice]]:
        for block, rows, span in self._targets.walk(self._inputs):
            yield self._extract(block, rows), span

    def _bytes(self, num_rows: int) -> int:
        return num_rows * self._width * np.dtype(np.float32).itemsize
