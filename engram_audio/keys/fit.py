"""Fit the keys of one family on train: components, codebooks, bins, hyperplanes.

A key is fitted once for a representation and a split, on every train context that has a frame after
it, so all stages share it. The predictive feature is fitted at each lag, for what it predicts
depends on it. Slices of frames share the key: within a slice only baselines and cell means are
fitted anew (SCIENCE 3).

Shapes: M train contexts, w shown frames, D dimensions, Q features.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engram_audio import windows
from engram_audio.errors import InputError
from engram_audio.keys.config import AnyQuantizer, KeyFamily, KeysSection, key_name
from engram_audio.keys.fitted import EVERY_LAG, FittedFamily, FittedKey, features_of_rows
from engram_audio.keys.inputs import input_of
from engram_audio.keys.quantizers import Fitting, KeySize
from engram_audio.keys.stream import (
    FeatureStream,
    Shown,
    shown_source,
    train_mean,
    train_rows,
)
from engram_audio.latents.block import BlockSource
from engram_audio.numerics.moments import Moments
from engram_audio.numerics.seeds import named_generator
from engram_audio.numerics.window_moments import WindowAccumulator, WindowMoments
from engram_audio.stats.floors import floored_variance

STD_FLOOR = 1e-6  # smallest SD of the next step, as a share of the dimension's own RMS value


class KeyMaterial(NamedTuple):
    """What keys are fitted on.

    Attributes:
        source: Blocks of whole utterances, the same in every reading.
        part_of: Part of each utterance id; the fit sees `train`.
        section: How keys are fitted.
    """

    source: BlockSource
    part_of: Mapping[str, str]
    section: KeysSection


def fit_family(
    name: str, family: KeyFamily, lags_frames: Sequence[int], material: KeyMaterial
) -> FittedFamily:
    """Fit all keys of a family.

    Args:
        name: Name of the family; keys are `<name>.<input>.<quantizer>`.
        family: Its settings.
        lags_frames: Lags at which a feature that depends on the lag is fitted.
        material: Frames and how to fit.

    Raises:
        InputError: Increments of one frame, or a key of more codes than can be numbered.
    """
    mean = train_mean(material.source, material.part_of).astype(np.float32)
    keys: list[FittedKey] = []
    missing: dict[str, tuple[int, str]] = {}
    for key_input in family.inputs:
        num_rows = input_of(key_input).window_frames(material.section.window_frames)
        for lag in lags_frames if family.needs_targets else (EVERY_LAG,):
            work = _Work(name, family, key_input, num_rows, lag, mean, material)
            keys += work.fit()
            missing |= work.missing
    return FittedFamily(name, tuple(keys), missing)


class _Work:
    """The fit of one family on one input at one lag."""

    def __init__(
        self, name: str, family: KeyFamily, key_input: str, num_rows: int, lag: int,
        mean: np.ndarray, material: KeyMaterial,
    ) -> None:  # fmt: skip
        section = material.section
        self._name, self._family, self._input, self._num_rows = name, family, key_input, num_rows
        self._lag, self._mean, self._section = lag, mean, section
        self._fit_lag = 1 if lag == EVERY_LAG else lag
        self._shown = shown_source(key_input, material.source, mean, section.speaker_pseudo_frames)
        self._rows = [
            train_rows(block, material.part_of, section.window_frames, self._fit_lag)
            for block in material.source()
        ]
        self._num_train = sum(map(len, self._rows))
        self.missing: dict[str, tuple[int, str]] = {}

    def fit(self) -> Iterator[FittedKey]:
        """Yield the keys; `missing` then holds those that lack train frames."""
        section, family = self._section, self._family
        attempted = [pair for pair in self._sizes() if self._is_attempted(pair[1])]
        if not attempted:
            return
        arrays: dict[str, np.ndarray] = {}
        if family.is_fitted:
            moments = window_moments(
                self._walk, self._num_rows, self._fit_lag, family.needs_targets
            )
            arrays = family.fit(moments, self._num_rows, section.ridge)
        width = family.num_features(self._num_rows, len(self._mean))
        max_bytes = int(section.fit_memory_gib * 2**30)
        sample = FeatureStream(
            lambda: self._features(arrays), self._num_train, width, max_bytes
        ).sample()
        for quantizer, size in attempted:
            key = key_name(self._name, self._input, size.name)
            generator = named_generator(section.seed, "keys", key, str(self._lag))
            how = Fitting(section.kmeans_restarts, section.kmeans_iterations, generator)
            yield FittedKey(
                name=key, lag_frames=self._lag, family=family, key_input=self._input,
                quantizer=quantizer, num_codes=size.num_codes,
                num_fitted=size.num_fitted, window_frames=section.window_frames,
                pseudo_frames=section.speaker_pseudo_frames, train_mean=self._mean,
                features=arrays, cells=quantizer.fit(size, sample, how),
            )  # fmt: skip

    def _sizes(self) -> list[tuple[AnyQuantizer, KeySize]]:
        width = self._family.num_features(self._num_rows, len(self._mean))
        try:
            return list(self._family.sizes(width))
        except ValueError as error:
            raise InputError(
                f"keys.library.{self._name}: {error}; take fewer components or fewer bins"
            ) from None

    def _is_attempted(self, size: KeySize) -> bool:
        needed = self._section.minimum_cell_frames * size.num_fitted
        if self._num_train >= needed:
            return True
        cells = f"{size.num_fitted} cells need" if size.num_fitted > 1 else "one cell needs"
        reason = f"not_attempted: {cells} {needed} train frames, have {self._num_train}"
        self.missing[key_name(self._name, self._input, size.name)] = size.num_codes, reason
        return False

    def _walk(self) -> Iterator[tuple[Shown, np.ndarray]]:
        """Yield blocks and the rows of their train targets."""
        for shown, rows in zip(self._shown(), self._rows, strict=True):
            if len(rows):
                yield shown, rows

    def _features(self, arrays: dict[str, np.ndarray]) -> Iterator[np.ndarray]:
        for shown, rows in self._walk():
            yield features_of_rows(self._family, shown, rows, self._fit_lag, self._num_rows, arrays)


def window_moments(
    walk: Callable[[], Iterator[tuple[Shown, np.ndarray]]],
    num_rows: int,
    lag_frames: int,
    with_targets: bool,
) -> WindowMoments:
    """Return the moments of shown contexts less their centres; see `WindowMoments`.

    With y = c - 1 m, a context less its centre, Cov(y) follows from Cov(c), Cov(c, m) and Cov(m):
    no centred window is built. The targets are the next steps in units of their SD.

    Args:
        walk: Yields blocks and the rows of their targets.
        num_rows: w.
        lag_frames: k.
        with_targets: Whether cross moments with the targets are wanted.
    """
    accumulator: WindowAccumulator | None = None
    crossing, squares, width = None, 0.0, 0
    for shown, rows in walk():
        columns = _crossing_columns(shown, rows, lag_frames, with_targets)
        if accumulator is None:
            width = shown.frames.shape[1]
            accumulator = WindowAccumulator(num_rows, width, columns.shape[1])
            crossing = Moments(np.zeros(columns.shape[1], np.float32))
        assert crossing is not None
        accumulator.add(shown.frames, shown.block.offsets, rows, lag_frames, columns)
        crossing.add(columns)
        squares += np.square(shown.block.frames[rows], dtype=np.float64).sum(axis=0)
    if accumulator is None or crossing is None:
        raise ValueError("there are no train contexts")
    moments, covariance = accumulator.moments(), crossing.covariance()
    num_centres = width if len(covariance) > (width if with_targets else 0) else 0
    if num_centres:
        moments = _less_centres(moments, covariance, num_rows, crossing.mean[:width])
    if not with_targets:
        return moments
    variance = np.maximum(np.diag(covariance)[num_centres:], 0.0)
    scale = np.sqrt(floored_variance(variance, np.asarray(squares / crossing.count), STD_FLOOR))
    return moments._replace(cross=moments.cross / scale)


def _crossing_columns(
    shown: Shown, rows: np.ndarray, lag_frames: int, with_targets: bool
) -> np.ndarray:
    """Return what window moments are crossed with: centres, next steps, both or nothing, [M, T]."""
    parts = [np.empty((len(rows), 0), np.float32)]
    if shown.centres is not None:
        parts.append(shown.centres[rows - lag_frames])
    if with_targets:
        parts.append(windows.delta(shown.block.frames, rows))
    return np.concatenate(parts, axis=1)


def _less_centres(
    moments: WindowMoments, covariance: np.ndarray, num_rows: int, mean: np.ndarray
) -> WindowMoments:
    """Return the moments of contexts less a centre that stands still in each.

    Args:
        moments: Those of the contexts, crossed with the centre [D] and the targets.
        covariance: Of the centre and the targets, [D + T, D + T].
        num_rows: w.
        mean: Mean of the centre, [D].
    """
    width = len(mean)
    mixed = np.tile(moments.cross[:, :width], (1, num_rows))
    own = np.tile(covariance[:width, :width], (num_rows, num_rows))
    return WindowMoments(
        moments.num_windows,
        moments.mean - np.tile(mean, num_rows),
        moments.covariance - mixed - mixed.T + own,
        moments.cross[:, width:] - np.tile(covariance[:width, width:], (num_rows, 1)),
    )
