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
    """Accumulates window moments over blocks in float64, in one [W D, W D] array.

    Its first block row holds C_0j, its lower right part the run ends that C_{i+1,j+1} adds to C_ij.
    """

    def __init__(self, window_frames: int, num_dims: int, num_targets: int = 0) -> None:
        """Make empty accumulators."""
        self._shape = (window_frames, num_dims)
        size = window_frames * num_dims
        self._num_windows = 0
        self._products = np.zeros((size, size))
        self._sums = np.zeros((window_frames, num_dims))
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
            columns = slice(step * num_dims, (step + 1) * num_dims)
            self._products[:num_dims, columns] += first.T @ shifted
            if targets is not None:
                self._cross[step] += shifted.T @ targets
        self._count(first)
        if targets is not None:
            self._target_sum += targets.sum(axis=0, dtype=np.float64)
        runs = windows.consecutive_runs(offsets, rows)
        self._add_ends(frames, windows.context_start(runs.stop, lag_frames, window_frames), 1)
        self._add_ends(frames, windows.context_start(runs.start, lag_frames, window_frames), -1)

    def _count(self, first: np.ndarray) -> None:
        self._num_windows += len(first)
        self._sums[0] += first.sum(axis=0, dtype=np.float64)

    def _add_ends(self, frames: np.ndarray, start: np.ndarray, sign: int) -> None:
        window_frames, num_dims = self._shape
        ends = frames[start[:, None] + np.arange(window_frames - 1)]
        self._sums[1:] += sign * ends.sum(axis=0, dtype=np.float64)
        ends = ends.reshape(len(start), (window_frames - 1) * num_dims)
        for step in range(window_frames - 1):  # block rows bound the temporary product
            rows = slice(step * num_dims, (step + 1) * num_dims)
            inner = slice((step + 1) * num_dims, (step + 2) * num_dims)
            product = ends[:, rows].T @ ends
            if sign > 0:
                self._products[inner, num_dims:] += product
            else:
                self._products[inner, num_dims:] -= product

    def moments(self) -> WindowMoments:
        """Assemble the moments; the accumulator is used up.

        Raises:
            ValueError: Nothing was added.
        """
        if self._num_windows == 0:
            raise ValueError("no windows were added")
        window_frames, num_dims = self._shape
        total, self._products = self._products, np.empty((0, 0))
        mean = np.cumsum(self._sums, axis=0).reshape(-1) / self._num_windows
        for step in range(1, window_frames):
            above = slice((step - 1) * num_dims, step * num_dims)
            rows = slice(step * num_dims, (step + 1) * num_dims)
            total[rows, :num_dims] = total[:num_dims, rows].T
            total[rows, num_dims:] += total[above, :-num_dims]
        total /= self._num_windows
        for step in range(window_frames):
            rows = slice(step * num_dims, (step + 1) * num_dims)
            upper = slice(rows.start, None)
            total[rows, upper] -= np.outer(mean[rows], mean[upper])
            total[rows.stop :, rows] = total[rows, rows.stop :].T
        cross = self._cross.reshape(len(mean), -1) / self._num_windows
        cross -= np.outer(mean, self._target_sum / self._num_windows)
        return WindowMoments(self._num_windows, mean, total, cross)
