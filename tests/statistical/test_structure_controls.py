"""A control that knows nothing scores 1 after its correction, whatever the autocorrelation."""

import numpy as np
import pandas as pd

from engram_audio.structure.comparisons import control_excess

NUM_CELLS, NUM_DIMS, NUM_FRAMES, RUN = 32, 16, 20_000, 8


def control(generator: np.random.Generator, eval_scale: float) -> tuple[float, float, float]:
    """Return a useless control's eval ratio, its correction and the one for independent frames.

    Frames are increments of white noise, which undo one another; labels last for RUN frames, as
    swapped keys do. Both are drawn apart, so the labels know nothing.
    """

    def part(scale: float) -> tuple[np.ndarray, np.ndarray]:
        noise = generator.normal(size=(NUM_FRAMES + 1, NUM_DIMS))
        labels = np.repeat(generator.integers(NUM_CELLS, size=NUM_FRAMES // RUN), RUN)
        return scale * np.diff(noise, axis=0) / np.sqrt(2), labels

    (train, own), (scored, labels) = part(1.0), part(eval_scale)
    counts = np.bincount(own, minlength=NUM_CELLS)
    sums = np.stack([np.bincount(own, weights=column) for column in train.T], axis=1)
    means = sums / counts[:, None] - train.mean(axis=0)
    total = ((scored - train.mean(axis=0)) ** 2).sum()
    ratio = ((scored - train.mean(axis=0) - means[labels]) ** 2).sum() / total
    mass = np.bincount(labels, minlength=NUM_CELLS)
    between = (counts[:, None] * means**2).sum()
    train_total = ((train - train.mean(axis=0)) ** 2).sum()
    expected = (mass / counts).sum() / NUM_FRAMES
    keys = pd.DataFrame(
        {
            "num_own_frames_train": [NUM_FRAMES],
            "num_own_cells_train": [NUM_CELLS],
            "sse_own_train": [train_total - between],
            "sse_own_total_train": [train_total],
            "num_own_frames_eval": [NUM_FRAMES],
            "sse_own_total_eval": [total],
            "expected_null_ratio_excess_eval": [expected],
        }
    )
    return ratio, 1 + control_excess(keys, "eval")[0], 1 + expected


def test_autocorrelated_controls_score_one():
    """20 draws: the mean corrected ratio is 1 within 3 standard errors of those draws.

    The correction for independent frames would leave the draws 5 standard errors below 1: labels
    that last 8 frames average increments that cancel, so their means scatter far less than 1/n.
    """
    generator = np.random.default_rng(5)
    draws = np.array([control(generator, eval_scale=1.2) for _ in range(20)])
    corrected, naive = draws[:, 0] / draws[:, 1], draws[:, 0] / draws[:, 2]
    error = corrected.std(ddof=1) / np.sqrt(len(draws))
    assert abs(corrected.mean() - 1) < 3 * error
    assert naive.mean() < 1 - 5 * naive.std(ddof=1) / np.sqrt(len(draws))
