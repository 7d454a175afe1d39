"""Scores of forecasts and of sampled paths, one number per start and horizon.

Shapes: S samples, N starts, H horizon, D dimensions.
"""

import torch
from torch import Tensor

from engram_audio.rollout.forecasts import Gaussians

NUM_SHIFTS = 8  # pairs of samples are those a few places apart: unbiased, and S instead of S^2
TAIL = 0.05  # on either side of the central 90 %
TAIL_Z = 1.6448536269514722  # of a standard Gaussian


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


def tails_of_samples(samples: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Return how far the truth lies outside the central 90 % of samples, at either end, [N, H].

    The truth's rank among S samples of its own law is even on 0..S. A tail of .05 holds
    .05 (S + 1) of these ranks, the last of them in part, so that an exact law reads .05 at any S.
    Where the truth equals samples its rank may be any of theirs. Means over dimensions.

    Args:
        samples: Shape [S, N, H, D].
        truth: Shape [N, H, D].
    """
    below, equal = (found.float().sum(0) for found in (samples < truth, samples == truth))
    count = len(samples)
    return {
        "below_range": _in_tail(below, equal, count).mean(-1),
        "above_range": _in_tail(count - below - equal, equal, count).mean(-1),
    }


def _in_tail(before: Tensor, equal: Tensor, count: int) -> Tensor:
    """Return the share of a truth's possible ranks that lie in the first tail."""
    return ((TAIL * (count + 1) - before) / (equal + 1)).clamp(0, 1)


def tails_of_law(law: Gaussians, truth: Tensor) -> dict[str, Tensor]:
    """Return the same of a Gaussian law; both [N, H, D]."""
    z = (truth - law.mean) / law.sd
    unknown = torch.where(torch.isfinite(z), 0.0, torch.nan)
    return {
        "below_range": ((z < -TAIL_Z) + unknown).mean(-1),
        "above_range": ((z > TAIL_Z) + unknown).mean(-1),
    }
