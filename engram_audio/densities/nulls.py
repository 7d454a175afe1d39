"""The null ladder: every linear explanation that a head has to beat (SCIENCE 4).

Names: `gaussian_marginal` and `gaussian_marginal_full` (by space, delta or position), `ar1`,
`ar1_full`, `ridge`, `ridge_full` (VAR on the same context; order, ridge and, at lag 1, the point it
shrinks to chosen on the choice part), `speaker_ar1`. Without `_full` the residual covariance is
diagonal.
Same-family marginals without context are fitted beside (`marginals.py`).

Shapes: D dimensions, M targets.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from engram_audio import windows
from engram_audio.corpus.split_parts import TRAIN
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.events import ANY_LAG, SPACES, SPEAKER_NULL
from engram_audio.densities.linear import (
    LaggedMoments,
    LinearFit,
    autoregression,
    marginal,
    ridge_regression,
)
from engram_audio.densities.reference import Reference
from engram_audio.latents.block import BlockSource
from engram_audio.latents.targets import targets_of
from engram_audio.numerics.units import LOG_2PI
from engram_audio.stats.floors import floored_variance


class LinearNull(NamedTuple):
    """One null of one event.

    Attributes:
        name: Null name; a marginal's carries its space.
        lag_frames: k, or `ANY_LAG` for a marginal.
        event: The event it was fitted for.
        fit: Its numbers.
    """

    name: str
    lag_frames: int
    event: str
    fit: LinearFit


class _SpeakerMoments:
    """Per-dimension second moments of v = (1, newest, speaker mean, value), shape [4, 4, D]."""

    def __init__(self, num_dims: int) -> None:
        self.count = 0
        self.products = np.zeros((4, 4, num_dims))

    def add(self, newest: np.ndarray, speaker: np.ndarray, value: np.ndarray) -> None:
        """Add targets, each argument [M, D], float64."""
        series = np.stack([np.ones_like(value), newest, speaker, value])
        self.count += len(value)
        self.products += np.einsum("amd,bmd->abd", series, series)

    def mean(self) -> np.ndarray:
        """Return mean products."""
        return self.products / max(self.count, 1)


class NullMoments:
    """Everything the linear ladder is fitted and chosen on: one pass over two parts."""

    def __init__(
        self,
        reference: Reference,
        window_frames: int,
        lags: Sequence[int],
        choice: str,
        with_speakers: bool = True,
    ) -> None:
        """Start empty; without speakers `speaker_ar1` cannot be fitted.

        Args:
            reference: Train statistics.
            window_frames: W.
            lags: All lags.
            choice: The part that is chosen on.
            with_speakers: Whether the moments of speaker means are kept.
        """
        num_dims = len(reference.frame_mean)
        offset = window_frames - 1 + max(lags)
        self.reference, self.lags = reference, tuple(lags)
        self.parts = (TRAIN, choice)
        self.lagged = {
            part: LaggedMoments(num_dims, offset, reference.frame_mean) for part in self.parts
        }
        self.speaker = {
            (part, lag, space): _SpeakerMoments(num_dims)
            for part in self.parts
            for lag in lags
            for space in SPACES
            if with_speakers
        }

    def accumulate(
        self, source: BlockSource, part_of: Mapping[str, str], window_frames: int
    ) -> None:
        """Add every block's targets of both parts."""
        for block in source():
            targets = targets_of(block, window_frames, max(self.lags))
            utterances = windows.utterance_of_rows(block.offsets, targets)
            parts = np.array([part_of[str(name)] for name in block.utterance_ids])
            means = self.reference.speakers.of(block.utterance_ids)
            for part, moments in self.lagged.items():
                chosen = parts[utterances] == part
                if chosen.any():
                    moments.add(block.frames, block.offsets, targets[chosen])
                    if self.speaker:
                        self._add_speaker(
                            part, block.frames, targets[chosen], means[utterances[chosen]]
                        )

    def _add_speaker(
        self, part: str, frames: np.ndarray, targets: np.ndarray, speaker: np.ndarray
    ) -> None:
        centre = self.reference.frame_mean
        current, previous = frames[targets] - centre, frames[targets - 1] - centre
        values = {"position": current, "delta": current - previous}
        for lag in self.lags:
            newest = frames[targets - lag] - centre
            for space, value in values.items():
                self.speaker[part, lag, space].add(newest, speaker - centre, value)

    @property
    def pair(self) -> tuple[LaggedMoments, LaggedMoments]:
        """Train and the choice part."""
        train, choice = self.parts
        return self.lagged[train], self.lagged[choice]


def fit_linear_nulls(
    moments: NullMoments, events: Sequence[str], orders: Sequence[int], ridges: Sequence[float]
) -> list[LinearNull]:
    """Fit every linear null of every lag and event, in a fixed order."""
    linear_nulls = []
    for suffix, diagonal in (("", True), ("_full", False)):
        for space in SPACES:
            fit = marginal(moments.pair, space, diagonal)
            linear_nulls.append(
                LinearNull(f"gaussian_marginal{suffix}_{space}", ANY_LAG, space, fit)
            )
    for lag in moments.lags:
        for event in events:
            spaces = SPACES if lag == 1 else (event,)
            for suffix, diagonal in (("", True), ("_full", False)):
                fits = [autoregression(moments.pair, lag, space, diagonal) for space in spaces]
                best = min(fits, key=lambda fit: fit.choice_nll)
                linear_nulls.append(LinearNull(f"ar1{suffix}", lag, event, best))
                fit = ridge_regression(moments.pair, lag, spaces, orders, ridges, diagonal)
                linear_nulls.append(LinearNull(f"ridge{suffix}", lag, event, fit))
            speaker = min(
                (_speaker_fit(moments, lag, space) for space in spaces), key=lambda f: f.choice_nll
            )
            linear_nulls.append(LinearNull(SPEAKER_NULL, lag, event, speaker))
    return linear_nulls


def _speaker_fit(moments: NullMoments, lag: int, space: str) -> LinearFit:
    """Regress each dimension on its newest frame and its speaker's mean."""
    train, choice = (moments.speaker[part, lag, space].mean() for part in moments.parts)
    num_dims = train.shape[-1]
    gram = np.moveaxis(train[:3, :3], -1, 0)
    # a speaker mean that never varies (one speaker) has no weight, not a singular system
    trace = np.trace(gram[:, 1:, 1:], axis1=1, axis2=2)[:, None, None]
    gram = gram + np.diag([0.0, 1e-9, 1e-9]) * np.maximum(trace, np.finfo(float).tiny)
    weights = np.linalg.solve(gram, np.moveaxis(train[:3, 3:], -1, 0))[..., 0]
    contrast = np.concatenate([-weights, np.ones((num_dims, 1))], 1)
    variance = np.einsum("da,abd,db->d", contrast, train, contrast)
    expected = np.einsum("da,abd,db->d", contrast, choice, contrast)
    mean_square = train[-1, -1] + moments.reference.frame_mean**2
    variance = floored_variance(variance, mean_square)
    choice_nll = 0.5 * float(np.sum(np.log(variance) + expected / variance + LOG_2PI))
    centre = moments.reference.frame_mean
    arrays = BaseArrays(
        target=space,
        frame_mean=centre,
        intercept=weights[:, 0] + (centre if space == "position" else 0.0),
        weight=np.diag(weights[:, 1]),
        speaker_weight=weights[:, 2],
        scale=np.diag(np.sqrt(variance)),
    )
    return LinearFit(arrays, choice_nll, 1, 0.0)


def linear_nulls_for(
    linear_nulls: Sequence[LinearNull], lag_frames: int, event: str
) -> list[LinearNull]:
    """Return the nulls of one event at one lag: its own, and marginals that score it.

    A position marginal scores delta_t at lag 1, where they are the same event, and nowhere else.
    """
    return [
        null
        for null in linear_nulls
        if (null.lag_frames == lag_frames and null.event == event)
        or (null.lag_frames == ANY_LAG and (null.event == event or lag_frames == 1))
    ]


def base_for(
    linear_nulls: Sequence[LinearNull],
    lag_frames: int,
    event: str,
    is_linear_skip: bool,
    is_full: bool,
) -> LinearNull:
    """Return the base of a head: the best linear null on the choice part, or a Gaussian marginal.

    `speaker_ar1` is never a base: heads see the context only.
    """
    suffix = "_full" if is_full else ""
    if not is_linear_skip:
        name = f"gaussian_marginal{suffix}_{event}"
        return next(null for null in linear_nulls if null.name == name)
    names = {f"ar1{suffix}", f"ridge{suffix}"} | {
        f"gaussian_marginal{suffix}_{space}" for space in SPACES
    }
    candidates = [
        null for null in linear_nulls_for(linear_nulls, lag_frames, event) if null.name in names
    ]
    return min(candidates, key=lambda null: null.fit.choice_nll)
