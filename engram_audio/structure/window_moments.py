"""Exact second moments of flattened windows, without ever building a window.

Let X_i hold window position i of all targets. Neighbouring positions share all rows but the ends
of each run of consecutive targets, so with C_ij = X_i^T X_j

    C_{i+1, j+1} = C_ij + sum over runs (x[stop + i]^T x[stop + j] - x[start + i]^T x[start + j]),

where start and stop bound the run's oldest context rows. W products of [M, D] and the run ends
replace the W^2 of a materialised [M, W * D] matrix, which at 4.5 M frames would take 73 GB.

Shapes: M targets, R runs, W window rows, D dimensions, T columns of the target.
"""

from typing import NamedTuple

import numpy as np

from engram_audio import windows


class WindowMoments(NamedTuple):
    """Moments of flattened windows x (oldest row first) and of targets z.

    Attributes:
        num_windows: Number of windows.
        mean: Mean of x, [W * D].
        covariance: Covariance of x, [W * D, W * D].
        cross: Covariance of x with z, [W * D, T]; T = 0 where none was accumulated.
    """

    num_windows: int
    mean: np.ndarray
    covariance: np.ndarray
    cross: np.ndarray


class WindowAccumulator:
    """Accumulates window moments over blocks in float64."""

    def __init__(self, window_frames: int, num_dims: int, num_targets: int = 0) -> None:
        """Make empty accumulators, about 2 (W D)^2 float64 in all."""
        self._shape = (window_frames, num_dims)
        inner = (window_frames - 1) * num_dims
        self._count = 0
        self._first_row = np.zeros((window_frames, num_dims, num_dims))
        self._edge_product = np.zeros((inner, inner))
        self._first_sum = np.zeros(num_dims)
        self._edge_sum = np.zeros(inner)
        self._cross = np.zeros((window_frames, num_dims, num_targets))
        self._target_sum = np.zeros(num_targets)

    def add(
        self,
        frames: np.ndarray,
        offsets: np.ndarray,
        rows: np.ndarray,
        lag_frames: int,
        targets: np.ndarray | None = None,
    ) -> None:
        """Add the windows of a block's targets.

        Args:
            frames: [N, D].
            offsets: Utterance offsets, [U + 1].
            rows: Ascending target rows, [M].
            lag_frames: k.
            targets: z of the rows, [M, T], where cross moments are wanted.
        """
        window_frames, num_dims = self._shape
        oldest = windows.context_start(rows, lag_frames, window_frames)
        first = frames[oldest]
        for step in range(window_frames):
            shifted = first if step == 0 else frames[oldest + step]
            self._first_row[step] += first.T @ shifted
            if targets is not None:
                self._cross[step] += shifted.T @ targets
        self._count += len(rows)
        self._first_sum += first.sum(axis=0, dtype=np.float64)
        if targets is not None:
            self._target_sum += targets.sum(axis=0, dtype=np.float64)
        runs = windows.consecutive_runs(offsets, rows)
        for sign, edge in ((1.0, runs.stop), (-1.0, runs.start)):
            start = windows.context_start(edge, lag_frames, window_frames)
            ends = frames[start[:, None] + np.arange(window_frames - 1)]
            ends = ends.reshape(len(start), (window_frames - 1) * num_dims)
            self._edge_product += sign * (ends.T @ ends)
            self._edge_sum += sign * ends.sum(axis=0, dtype=np.float64)

    def moments(self) -> WindowMoments:
        """Assemble the moments.

        Raises:
            ValueError: Nothing was added.
        """
        if self._count == 0:
            raise ValueError("no windows were added")
        window_frames, num_dims = self._shape
        total = np.empty((window_frames, num_dims, window_frames, num_dims))
        sums = np.empty((window_frames, num_dims))
        edge = self._edge_product.reshape(window_frames - 1, num_dims, window_frames - 1, num_dims)
        edge_sum = self._edge_sum.reshape(window_frames - 1, num_dims)
        sums[0] = self._first_sum
        for step in range(window_frames):
            total[0, :, step] = self._first_row[step]
            total[step, :, 0] = self._first_row[step].T
        for i in range(1, window_frames):
            sums[i] = sums[i - 1] + edge_sum[i - 1]
            total[i, :, 1:] = total[i - 1, :, :-1] + edge[i - 1]
        size = window_frames * num_dims
        mean = sums.reshape(size) / self._count
        covariance = total.reshape(size, size) / self._count
        covariance -= np.outer(mean, mean)
        cross = self._cross.reshape(size, -1) / self._count
        cross -= np.outer(mean, self._target_sum / self._count)
        return WindowMoments(self._count, mean, (covariance + covariance.T) / 2, cross)
