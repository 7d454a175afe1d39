"""How much of a clip is silent: a generator that fades away stays silent for long.

Shapes: S samples, F frames.
"""

import numpy as np

FRAME_S = 0.02
LEAST_S = 0.64  # shorter pauses belong to speech


def frame_levels(waveform: np.ndarray, rate_hz: int) -> np.ndarray:
    """Return the RMS of each whole frame of a clip [S], [F]."""
    size = round(FRAME_S * rate_hz)
    frames = waveform[: len(waveform) // size * size].reshape(-1, size)
    return np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1))


def quiet_level(levels: np.ndarray) -> float:
    """Return the RMS below which a frame is quiet: the 5 % quantile of true speech."""
    return float(np.quantile(levels, 0.05))


def num_silent(levels: np.ndarray, quiet: float) -> int:
    """Return how many frames lie in quiet stretches of at least `LEAST_S`.

    Digital silence is quiet at any level.
    """
    is_quiet = (levels < quiet) | (levels == 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], is_quiet, [False]]).astype(np.int8)))
    lengths = edges[1::2] - edges[::2]
    return int(lengths[lengths >= round(LEAST_S / FRAME_S)].sum())
