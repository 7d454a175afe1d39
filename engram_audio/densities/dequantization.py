"""Fixed noise on frames, so that no density can grow without bound where latents repeat a value.

Shapes: D dimensions, p frames of context that a linear null uses.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.nulls import LinearNull, base_for
from engram_audio.densities.reference import Reference
from engram_audio.latents.block import BlockSource, LatentBlock
from engram_audio.numerics.seeds import checksum_generator

SMALLEST_SHARE = 1e-6  # of a residual that is more than the noise that was added


def dequantization_sd(reference: Reference, fraction: float) -> np.ndarray:
    """Return the noise's SD, shape [D]: a share of the smaller of the position's and delta's SD.

    Of slow latents the position's SD says nothing about a step: a hundredth of it may be as large
    as what a step brings, and the noise then hides what is predicted.
    """
    return fraction * np.minimum(reference.frame_sd, reference.delta_sd)


def noise_costs(
    linear_nulls: Sequence[LinearNull],
    lags: Sequence[int],
    events: Sequence[str],
    noise_sd: np.ndarray,
) -> dict[tuple[int, str], float]:
    """Return what the noise costs the best linear null, nats per frame, by lag and event."""
    return {
        (lag, event): noise_cost(
            base_for(linear_nulls, lag, event, True, True).fit.arrays, lag, noise_sd
        )
        for lag in lags
        for event in events
    }


def noise_cost(arrays: BaseArrays, lag_frames: int, noise_sd: np.ndarray) -> float:
    """Return what the noise [D] costs a linear Gaussian predictor, nats per frame.

    It is half the log determinant of its residual's covariance less that without the noise: the
    target's, and the context's as the weights pass it on. A sharper predictor loses more.
    """
    inverse = np.linalg.inv(arrays.scale)
    share = sum(
        part.T @ (noise_sd[:, None] ** 2 * part)
        for part in (weight @ inverse for weight in _frame_weights(arrays, lag_frames).values())
    )
    left = 1 - np.linalg.eigvalsh(share)
    return float(-0.5 * np.log(np.maximum(left, SMALLEST_SHARE)).sum())


def _frame_weights(arrays: BaseArrays, lag_frames: int) -> dict[int, np.ndarray]:
    """Return how the residual depends on the frame of each age, [D, D]; age 0 is the target."""
    num_dims = len(arrays.frame_mean)
    regressors = arrays.weight.reshape(-1, num_dims, num_dims)  # the newest frame, then steps
    weights = {0: np.eye(num_dims)}
    for number, weight in enumerate(regressors):
        _add(weights, lag_frames + max(number - 1, 0), -weight)
        if number:  # the step from frame `number` to the frame after it
            _add(weights, lag_frames + number, weight)
    if arrays.target == "delta":
        _add(weights, 1, -np.eye(num_dims))
    return weights


def _add(weights: dict[int, np.ndarray], age: int, weight: np.ndarray) -> None:
    weights[age] = weights.get(age, 0.0) + weight


def with_noise(block: LatentBlock, noise_sd: np.ndarray, seed: int) -> LatentBlock:
    """Add fixed dequantisation noise of SD `noise_sd` [D]; the same utterance, the same noise."""
    if not np.any(noise_sd):
        return block
    frames = np.array(block.frames, dtype=np.float32)
    for number, name in enumerate(block.utterance_ids):
        rows = slice(int(block.offsets[number]), int(block.offsets[number + 1]))
        generator = checksum_generator(seed, name)
        noise = generator.standard_normal(frames[rows].shape, dtype=np.float32)
        frames[rows] += noise * noise_sd.astype(np.float32)
    # noise hides what was repeated: the mark is that of the frames before it
    return block._replace(frames=frames, is_scored=block.scored())


def noisy_source(source: BlockSource, noise_sd: np.ndarray, seed: int) -> BlockSource:
    """Return the stream with `with_noise` applied to every block."""

    def blocks() -> Iterator[LatentBlock]:
        for block in source():
            yield with_noise(block, noise_sd, seed)

    return blocks
