"""Window moments where the target is the step of the same frames, in fewer products.

With y the frames and d_t = x_t - x_{t-1} their steps, let G_j sum y_s^T d_{s+j} over the oldest
context rows s of all targets. A context at lag k ends W - 1 + k rows before its target. So

    C_{0,j} = C_{0,j-1} + G_j,    y_{s+i}^T d_t summed = G_{W-1+k-i} + the run ends,

and W + k products of [M, D] replace the 2 W of contexts with themselves and with targets. Steps
enter as they are, not as differences of products: those would lose a slow walk in rounding.

Shapes: M targets, R runs, W window rows, D dimensions.
"""

import numpy as np

from engram_audio import windows
from engram_audio.numerics.window_moments import WindowAccumulator, WindowMoments


class StepAccumulator(WindowAccumulator):
    """Accumulates moments of windows and of the steps that they predict."""

    def __init__(self, window_frames: int, num_dims: int, lag_frames: int) -> None:
        """Make empty accumulators for contexts at one lag."""
        super().__init__(window_frames, num_dims, num_dims)
        last = window_frames - 1 + lag_frames
        self._lag = lag_frames
        self._used = sorted({*range(1, window_frames), *range(lag_frames, last + 1)})
        self._lagged = np.zeros((last + 1, num_dims, num_dims))  # C_00, then G_1 .. G_{W-1+k}

    def add_steps(
        self, frames: np.ndarray, steps: np.ndarray, offsets: np.ndarray, rows: np.ndarray
    ) -> None:
        """Add the windows of a block's targets.

        Args:
            frames: [N, D], less any shift.
            steps: x_t - x_{t-1} of the frames, [N, D].
            offsets: Utterance offsets, [U + 1].
            rows: Ascending target rows, [M].
        """
        oldest = windows.context_start(rows, self._lag, self._shape[0])
        first = frames[oldest]
        self._lagged[0] += first.T @ first
        last = len(self._lagged) - 1
        for ahead in self._used:  # counted from the target: a context elsewhere is another model
            self._lagged[ahead] += first.T @ steps[rows - (last - ahead)]
        self._target_sum += steps[rows].sum(axis=0, dtype=np.float64)
        self._count(first)
        runs = windows.consecutive_runs(offsets, rows)
        ends = [windows.context_start(own, self._lag, self._shape[0]) for own in runs]
        for start, sign in zip(ends, (-1, 1), strict=True):
            self._add_ends(frames, start, sign)
        self._add_step_ends(frames, steps, ends[0], ends[1])

    def _add_step_ends(
        self, frames: np.ndarray, steps: np.ndarray, start: np.ndarray, stop: np.ndarray
    ) -> None:
        """Add what y_{s+i}^T d_t summed has beyond G: rows after a run's last, less its first."""
        window_frames, num_dims = self._shape
        ends = np.concatenate([stop, start])
        signs = np.repeat(np.array([1, -1], frames.dtype), [len(stop), len(start)])[:, None]
        late = steps[ends[:, None] + np.arange(self._lag, self._lag + window_frames - 1)]
        for step in range(window_frames - 1):
            after = late[:, step:].reshape(len(ends), -1)
            product = (frames[ends + step] * signs).T @ after
            # its last columns belong to position `step + 1`, its first ones to the newest frame
            product = product.reshape(num_dims, -1, num_dims).transpose(1, 0, 2)
            self._cross[step + 1 :] += product[::-1]

    def moments(self) -> WindowMoments:
        """Assemble the moments; the accumulator is used up.

        Raises:
            ValueError: Nothing was added.
        """
        window_frames, num_dims = self._shape
        first = np.cumsum(self._lagged[:window_frames], axis=0)
        self._products[:num_dims] = first.transpose(1, 0, 2).reshape(num_dims, -1)
        self._cross += self._lagged[self._lag :][::-1]
        return super().moments()
