"""Scores of forecasts and of sampled paths, one number per start and horizon.

Shapes: S samples, N starts, H horizon, D dimensions.
"""

import torch
from torch import Tensor

NUM_SHIFTS = 8  # pairs of samples are those a few places apart: unbiased, and S instead of S^2


def pair_distance(samples: Tensor, scale: Tensor) -> Tensor:
    """Return the mean distance between different samples, [...], of [S, ..., D].

    Each sample is paired with the next few, so pairs never repeat and never join a sample with
    itself: the estimate is unbiased (fair) at any S.

    Raises:
        ValueError: There is one sample only.
    """
    count = len(samples)
    if count < 2:
        raise ValueError("a fair score needs two samples")
    shifts = range(1, min(NUM_SHIFTS, (count - 1) // 2 or 1) + 1)
    total = torch.zeros(samples.shape[1:-1], device=samples.device)
    for shift in shifts:
        total += ((samples - samples.roll(shift, 0)) / scale).norm(dim=-1).mean(0)
    return total / len(shifts)


def energy_score(samples: Tensor, truth: Tensor, scale: Tensor) -> Tensor:
    """Return the fair energy score of position, in SD: E|X - y| - E|X - X'| / 2, [N, H].

    Args:
        samples: Shape [S, N, H, D].
        truth: Shape [N, H, D].
        scale: SD of each dimension, [D].
    """
    error = ((samples - truth) / scale).norm(dim=-1).mean(0)
    return error - 0.5 * pair_distance(samples, scale)


def climatology_score(climate: Tensor, truth: Tensor, scale: Tensor) -> Tensor:
    """Return the energy score of frames drawn from the data, [N, H]; climate is [C, D]."""
    half = 0.5 * pair_distance(climate, scale)
    flat = (truth / scale).flatten(0, -2)
    error = torch.cdist(flat, climate / scale).mean(1)
    return error.view(truth.shape[:-1]) - half
