"""The one place where (t, lag, W) is defined; nobody else does index arithmetic on frames.

Definitions (SCIENCE, notation). Within one utterance of T frames x_0 .. x_{T-1}:

- the context of target t at lag k is c_{t,k} = (x_{t-k-W+1}, ..., x_{t-k}), both ends included;
- the target is delta_t = x_t - x_{t-1} at every lag (k says how stale the context is);
- frames compared across lags are the same frames: t >= W - 1 + max(lags).

Shapes: N frames of a block, M targets, W window frames, D dimensions, U utterances, R runs.
"""

from typing import NamedTuple

import numpy as np

NARROW_COMPONENTS = 32  # up to this many, projections of all window positions are one product


def first_target(window_frames: int, max_lag_frames: int) -> int:
    """Return the first t of an utterance whose context at the largest lag lies inside it."""
    if window_frames < 1 or max_lag_frames < 1:
        raise ValueError("window_frames and max_lag_frames must be at least 1")
    return window_frames - 1 + max_lag_frames


def target_rows(offsets: np.ndarray, window_frames: int, max_lag_frames: int) -> np.ndarray:
    """Return the block rows of all targets, ascending, shape [M], int64.

    Args:
        offsets: Utterance offsets of the block, shape [U + 1].
        window_frames: W.
        max_lag_frames: The largest lag under comparison, so that all lags share their targets.
    """
    head = first_target(window_frames, max_lag_frames)
    starts, lengths = offsets[:-1], np.diff(offsets)
    position = np.arange(offsets[-1], dtype=np.int64) - np.repeat(starts, lengths)
    return np.flatnonzero(position >= head)


def context_rows(targets: np.ndarray, lag_frames: int, window_frames: int) -> np.ndarray:
    """Return the block rows of each target's context, oldest first, shape [M, W]."""
    newest = targets - lag_frames
    return newest[:, None] + np.arange(1 - window_frames, 1)


def delta(frames: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Return delta_t = x_t - x_{t-1} of the targets, shape [M, D]."""
    return frames[targets] - frames[targets - 1]


def utterance_of_rows(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return the utterance number (0 .. U-1) of each row, shape [M]."""
    return np.searchsorted(offsets, rows, side="right") - 1


def position_fraction(offsets: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return each row's position in its utterance, (t + 1/2) / T in (0, 1), shape [M]."""
    utterance = utterance_of_rows(offsets, rows)
    start = offsets[utterance]
    return (rows - start + 0.5) / (offsets[utterance + 1] - start)


class Runs(NamedTuple):
    """Maximal runs of consecutive targets inside one utterance: rows start .. stop-1, shape [R]."""

    start: np.ndarray
    stop: np.ndarray


def consecutive_runs(offsets: np.ndarray, targets: np.ndarray) -> Runs:
    """Split ascending targets into maximal runs; a run never crosses an utterance boundary."""
    if len(targets) == 0:
        empty = np.empty(0, dtype=np.int64)
        return Runs(empty, empty)
    utterance = utterance_of_rows(offsets, targets)
    breaks = np.flatnonzero((np.diff(targets) != 1) | (np.diff(utterance) != 0)) + 1
    edges = np.concatenate([[0], breaks, [len(targets)]])
    return Runs(start=targets[edges[:-1]], stop=targets[edges[1:] - 1] + 1)


def gather_contexts(
    frames: np.ndarray, targets: np.ndarray, lag_frames: int, window_frames: int
) -> np.ndarray:
    """Return the contexts of a *batch* of targets, shape [M, W, D]; never call it on a corpus."""
    return frames[context_rows(targets, lag_frames, window_frames)]


def context_start(targets: np.ndarray, lag_frames: int, window_frames: int) -> np.ndarray:
    """Return the block row of the oldest frame of each target's context, shape [M]."""
    return targets - lag_frames - (window_frames - 1)


def increments(frames: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Return x_t - x_{t-1} at every row, shape [N, D]; zero at the head of an utterance.

    A context of W frames holds W - 1 increments, rows t-k-W+2 .. t-k, so analyses of increments
    use the same targets and lags with `window_frames - 1`; the zero row is never among them.
    """
    steps = np.empty_like(frames)
    np.subtract(frames[1:], frames[:-1], out=steps[1:])
    steps[offsets[:-1][np.diff(offsets) > 0]] = 0
    return steps


def mean_pool(
    frames: np.ndarray, targets: np.ndarray, lag_frames: int, window_frames: int
) -> np.ndarray:
    """Return the mean of each target's context without building windows, shape [M, D].

    Sums of 1, 2, 4, .. adjacent frames are doubled and joined by the binary digits of W.
    """
    total = np.zeros((len(targets), frames.shape[1]), dtype=np.float32)
    row = context_start(targets, lag_frames, window_frames)
    sums, width, left = frames, 1, window_frames
    while left:
        if left & width:
            total += sums[row]
            row, left = row + width, left - width
        if left:
            sums, width = sums[:-width] + sums[width:], 2 * width
    return total / np.float32(window_frames)


def project_contexts(
    frames: np.ndarray,
    targets: np.ndarray,
    lag_frames: int,
    components: np.ndarray,
) -> np.ndarray:
    """Project each target's context on linear components without building windows.

    Args:
        frames: Shape [N, D].
        targets: Shape [M].
        lag_frames: k.
        components: Shape [W, D, Q], oldest frame of the window first.

    Returns:
        Projections, shape [M, Q].
    """
    window_frames, width, num_components = components.shape
    components = components.astype(frames.dtype, copy=False)
    oldest = context_start(targets, lag_frames, window_frames)
    total = np.zeros((len(targets), num_components), dtype=frames.dtype)
    if num_components > NARROW_COMPONENTS:  # one [N, W * Q] product would need too much memory
        for step in range(window_frames):
            total += (frames @ components[step])[oldest + step]
        return total
    weights = components.transpose(1, 0, 2).reshape(width, window_frames * num_components)
    scores = frames @ np.ascontiguousarray(weights)
    for step in range(window_frames):
        columns = slice(step * num_components, (step + 1) * num_components)
        total += scores[oldest + step, columns]
    return total


def chunks(
    offsets: np.ndarray, utterances: np.ndarray, chunk_frames: int, burn_in_frames: int
) -> tuple[np.ndarray, np.ndarray]:
    """Cut utterances into overlapping sequences whose frames after the burn-in tile them.

    Args:
        offsets: Utterance offsets of the block, shape [U + 1].
        utterances: Numbers of the utterances used, ascending.
        chunk_frames: Longest sequence T.
        burn_in_frames: Frames that each sequence shares with the one before.

    Returns:
        First block row of each sequence and the row after its utterance's last, shape [C]; a
        sequence is the rows start .. min(start + T, stop) - 1. Utterances no longer than the
        burn-in have none.
    """
    hop = chunk_frames - burn_in_frames
    lengths = np.diff(offsets)[utterances]
    counts = np.maximum(-(-(lengths - burn_in_frames) // hop), 0)
    owner = np.repeat(np.arange(len(utterances)), counts)
    number = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    first = offsets[utterances][owner]
    return first + number * hop, first + lengths[owner]
