"""Distances between two samples of vectors.

Both are read at equal counts on both sides: the Frechet distance of two samples of one law is
larger than 0 by about 1 / n.

Shapes: N and M vectors, D dimensions.
"""

import numpy as np
from scipy.spatial.distance import cdist


def energy_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return 2 E|x - y| - E|x - x'| - E|y - y'| per root of D, without a vector's own pair.

    Args:
        first: Shape [N, D], N >= 2.
        second: Shape [M, D], M >= 2.
    """
    between = cdist(first, second).mean()
    within = sum(cdist(own, own).sum() / (len(own) * (len(own) - 1)) for own in (first, second))
    return float(2 * between - within) / first.shape[1] ** 0.5


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Return the squared distance of Gaussians fitted to both, per dimension.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)).
    """
    shift = np.square(first.mean(axis=0) - second.mean(axis=0)).sum()
    covariances = [np.cov(own, rowvar=False).reshape(first.shape[1], -1) for own in (first, second)]
    root = _root(covariances[0])
    cross = np.linalg.eigvalsh(root @ covariances[1] @ root)
    traces = sum(np.trace(own) for own in covariances)
    total = shift + traces - 2 * np.sqrt(np.maximum(cross, 0.0)).sum()
    return float(total) / first.shape[1]


def _root(covariance: np.ndarray) -> np.ndarray:
    values, vectors = np.linalg.eigh(covariance)
    return (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T


def halves(frames: np.ndarray, block: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the even and the odd blocks of a clip's frames [N, D], as many frames of each.

    The even half of one clip and the odd half of another share no moment of time, so that true
    speech against itself gives the floor of a distance.
    """
    usable = len(frames) // (2 * block) * (2 * block)
    pairs = frames[:usable].reshape(-1, 2, block, frames.shape[1])
    return pairs[:, 0].reshape(-1, frames.shape[1]), pairs[:, 1].reshape(-1, frames.shape[1])
