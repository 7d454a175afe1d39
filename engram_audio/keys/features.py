"""Features of the context that keys quantise: mean, components, newest frame, predictor.

Every feature is linear in the shown frames, so the feature of a context less a centre is that of
the context less that of the centre. Only `predictive` depends on the lag.

Shapes: N frames, M contexts, w shown frames of a context, D dimensions, Q features.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from pydantic import Field

from engram_audio import windows
from engram_audio.kinds import Plugin
from engram_audio.numerics.window_moments import WindowMoments
from engram_audio.quantities import NumComponents
from engram_audio.section import Section

Arrays = Mapping[str, Any]


class Feature(Section):
    """What every kind has."""

    IS_FITTED: ClassVar[bool] = False
    NEEDS_TARGETS: ClassVar[bool] = False
    SEES_WINDOW: ClassVar[bool] = True

    @property
    def is_fitted(self) -> bool:
        """Whether it is made of the moments of train windows."""
        return self.IS_FITTED

    @property
    def needs_targets(self) -> bool:
        """Whether it is made of their moments with the next step too, so that it has a lag."""
        return self.NEEDS_TARGETS

    @property
    def sees_window(self) -> bool:
        """Whether it sees the whole window; else the newest shown frame only."""
        return self.SEES_WINDOW

    def num_features(self, num_rows: int, num_dims: int) -> int:
        """Return Q for w shown frames of D dimensions."""
        del num_rows
        return num_dims

    def fit(self, moments: WindowMoments, num_rows: int, ridge: float) -> dict[str, np.ndarray]:
        """Fit on the moments of train windows of w rows; return named arrays."""
        raise NotImplementedError

    def of_rows(
        self, frames: np.ndarray, rows: np.ndarray, lag_frames: int, num_rows: int, arrays: Arrays
    ) -> np.ndarray:
        """Return the features of the contexts of target rows of shown frames, [M, Q]."""
        return self.of_contexts(windows.gather_contexts(frames, rows, lag_frames, num_rows), arrays)

    def of_contexts(self, contexts: Any, arrays: Arrays) -> Any:
        """Return the features of shown contexts [M, w, D]: numpy arrays or tensors."""
        raise NotImplementedError

    def of_centres(self, centres: np.ndarray, arrays: Arrays) -> np.ndarray:
        """Return the features of contexts that stand still at [M, D], [M, Q]."""
        del arrays
        return centres


class MeanPool(Feature):
    """Mean of the context."""

    def of_rows(
        self, frames: np.ndarray, rows: np.ndarray, lag_frames: int, num_rows: int, arrays: Arrays
    ) -> np.ndarray:
        """See `Feature.of_rows`."""
        del arrays
        return windows.mean_pool(frames, rows, lag_frames, num_rows)

    def of_contexts(self, contexts: Any, arrays: Arrays) -> Any:
        """See `Feature.of_contexts`."""
        del arrays
        return contexts.mean(1)


class LastFrame(Feature):
    """The newest frame of the context."""

    SEES_WINDOW: ClassVar[bool] = False

    def of_rows(
        self, frames: np.ndarray, rows: np.ndarray, lag_frames: int, num_rows: int, arrays: Arrays
    ) -> np.ndarray:
        """See `Feature.of_rows`."""
        del num_rows, arrays
        return frames[rows - lag_frames]

    def of_contexts(self, contexts: Any, arrays: Arrays) -> Any:
        """See `Feature.of_contexts`."""
        del arrays
        return contexts[:, -1]


class WholeContext(Feature):
    """The newest frame and the steps before it, in units of their train SD: all of the context."""

    def num_features(self, num_rows: int, num_dims: int) -> int:
        """See `Feature.num_features`."""
        return num_rows * num_dims

    def of_contexts(self, contexts: Any, arrays: Arrays) -> Any:
        """See `Feature.of_contexts`."""
        return newest_and_steps(contexts) / arrays["scale"]

    def of_centres(self, centres: np.ndarray, arrays: Arrays) -> np.ndarray:
        """See `Feature.of_centres`: a context that stands still has no steps."""
        steps = len(arrays["scale"]) - centres.shape[1]
        return np.pad(centres, ((0, 0), (0, steps))) / arrays["scale"]


def newest_and_steps(contexts: Any) -> Any:
    """Return the newest frame and the steps before it, newest first, [M, w D]; any arrays.

    A network learns faster from them than from the frames that they are made of (worlds.md A2).
    """
    found = contexts[:, list(range(contexts.shape[1]))[::-1]]  # a list of rows copies both kinds
    found[:, 1:] = found[:, :-1] - found[:, 1:]
    return found.reshape(len(found), -1)


class _Components(Feature):
    """A projection of the flattened context."""

    IS_FITTED: ClassVar[bool] = True
    num_components: NumComponents = Field(description="Components kept.")

    def of_rows(
        self, frames: np.ndarray, rows: np.ndarray, lag_frames: int, num_rows: int, arrays: Arrays
    ) -> np.ndarray:
        """See `Feature.of_rows`."""
        del num_rows
        return windows.project_contexts(frames, rows, lag_frames, arrays["components"])

    def of_contexts(self, contexts: Any, arrays: Arrays) -> Any:
        """See `Feature.of_contexts`."""
        components = arrays["components"]
        flat = components.reshape(-1, components.shape[2])
        return contexts.reshape(len(contexts), -1) @ flat

    def of_centres(self, centres: np.ndarray, arrays: Arrays) -> np.ndarray:
        """See `Feature.of_centres`."""
        return centres @ arrays["components"].sum(0)


class PrincipalComponents(_Components):
    """Leading principal components of the flattened context."""

    def num_features(self, num_rows: int, num_dims: int) -> int:
        """See `Feature.num_features`."""
        return min(self.num_components, num_rows * num_dims)

    def fit(self, moments: WindowMoments, num_rows: int, ridge: float) -> dict[str, np.ndarray]:
        """See `Feature.fit`."""
        from engram_audio.numerics.subspace import leading_eigenvectors  # SciPy

        del ridge
        count = min(self.num_components, len(moments.mean))
        vectors = leading_eigenvectors(moments.covariance, count)[1]
        return {"components": _by_row(vectors, num_rows)}


class Predictor(_Components):
    """Reduced-rank regression of the next step on the context: `num_components` is its rank."""

    NEEDS_TARGETS: ClassVar[bool] = True

    def num_features(self, num_rows: int, num_dims: int) -> int:
        """See `Feature.num_features`."""
        del num_rows
        return min(self.num_components, num_dims)

    def fit(self, moments: WindowMoments, num_rows: int, ridge: float) -> dict[str, np.ndarray]:
        """See `Feature.fit`."""
        from engram_audio.numerics.ridge import reduced_rank  # SciPy

        return {"components": _by_row(reduced_rank(moments, ridge, self.num_components), num_rows)}


class PluginFeature(Plugin, Feature):
    """A feature of another package: its `Settings` is a `Feature` (docs/extend.md)."""

    GROUP: ClassVar[str] = "engram_audio.key_features"
    FUNCTIONS: ClassVar[tuple[str, ...]] = ()

    @property
    def _own(self) -> Feature:
        return PluginFeature(kind="plugin", plugin=self.plugin, settings=self.settings).own(Feature)

    @property
    def is_fitted(self) -> bool:
        """See `Feature.is_fitted`."""
        return self._own.is_fitted

    @property
    def needs_targets(self) -> bool:
        """See `Feature.needs_targets`."""
        return self._own.needs_targets

    @property
    def sees_window(self) -> bool:
        """See `Feature.sees_window`."""
        return self._own.sees_window

    def num_features(self, num_rows: int, num_dims: int) -> int:
        """See `Feature.num_features`."""
        return self._own.num_features(num_rows, num_dims)

    def fit(self, moments: WindowMoments, num_rows: int, ridge: float) -> dict[str, np.ndarray]:
        """See `Feature.fit`."""
        return self._own.fit(moments, num_rows, ridge)

    def of_rows(
        self, frames: np.ndarray, rows: np.ndarray, lag_frames: int, num_rows: int, arrays: Arrays
    ) -> np.ndarray:
        """See `Feature.of_rows`."""
        return self._own.of_rows(frames, rows, lag_frames, num_rows, arrays)

    def of_contexts(self, contexts: Any, arrays: Arrays) -> Any:
        """See `Feature.of_contexts`."""
        return self._own.of_contexts(contexts, arrays)

    def of_centres(self, centres: np.ndarray, arrays: Arrays) -> np.ndarray:
        """See `Feature.of_centres`."""
        return self._own.of_centres(centres, arrays)


def _by_row(vectors: np.ndarray, num_rows: int) -> np.ndarray:
    """Return components [w D, Q] as [w, D, Q], float32."""
    return vectors.reshape(num_rows, -1, vectors.shape[1]).astype(np.float32)
