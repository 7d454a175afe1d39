"""What a key tells about its target: log p(z | cell) against the mixture of all cells.

Cells hold diagonal Gaussians fitted on train. The mixture takes the cells' shares among the scored
frames, so the mean over these frames cannot exceed the entropy of their cells, nor ln K: Gaussians
that fit badly cannot make a key look informed, as they can against one pooled Gaussian.

Shapes: m frames, E effective cells, D dimensions, M targets of a slice.
"""

from typing import NamedTuple

import numpy as np
from scipy import special

from engram_audio.structure.cells import CellTables, Labeling
from engram_audio.structure.targets import PARTS

MAXIMUM_FRAMES = 4096  # of a part: every frame meets every cell
CHUNK_FLOATS = 2**22


def information_rows(part: np.ndarray) -> np.ndarray:
    """Return which targets are scored, bool, [M]: an even choice of each part."""
    chosen = np.zeros(len(part), dtype=bool)
    for number in range(len(PARTS)):
        members = np.flatnonzero(part == number)
        size = min(len(members), MAXIMUM_FRAMES)
        chosen[members[(np.arange(size) * len(members)) // max(size, 1)]] = True
    return chosen


class KeyInformation(NamedTuple):
    """Gaussians of the cells as two matrix products.

    Attributes:
        weights: [2 D, E]: log p(z | c) = (z, z^2) @ weights + constant.
        constant: [E].
    """

    weights: np.ndarray
    constant: np.ndarray


def key_information(tables: CellTables) -> KeyInformation:
    """Prepare the Gaussians of the effective cells; what all cells share is left out."""
    mean, precision = tables.mean[:-1].astype(np.float64), 1 / tables.variance
    constant = 0.5 * np.log(precision).sum(axis=1) - 0.5 * (precision * mean**2).sum(axis=1)
    return KeyInformation(np.concatenate([(precision * mean).T, -0.5 * precision.T]), constant)


def frame_information(
    key: KeyInformation, labeling: Labeling, z: np.ndarray, codes: np.ndarray, shares: np.ndarray
) -> np.ndarray:
    """Return log p(z | cell) - log sum_c share_c p(z | c) in nats, [m]; 0 where excluded.

    Args:
        key: Gaussians of the cells.
        labeling: The key's cells.
        z: Normalised targets, [m, D].
        codes: Their cells, [m].
        shares: Share of each cell among the scored frames of the part, [E].
    """
    found = np.zeros(len(z))
    kept = np.flatnonzero(codes < labeling.num_effective)
    with np.errstate(divide="ignore"):
        constant = key.constant + np.log(shares)
    step = max(CHUNK_FLOATS // max(labeling.num_effective, 1), 1)
    for start in range(0, len(kept), step):
        rows = kept[start : start + step]
        own = z[rows].astype(np.float64)
        joint = np.concatenate([own, own**2], axis=1) @ key.weights + constant
        cell = codes[rows]
        alone = joint[np.arange(len(rows)), cell] - np.log(shares[cell])
        found[rows] = alone - special.logsumexp(joint, axis=1)
    return found


def cell_shares(labeling: Labeling, codes: np.ndarray) -> np.ndarray:
    """Return the share of each effective cell among kept frames, [E]."""
    counts = np.bincount(codes, minlength=labeling.num_effective + 1)[:-1]
    return counts / max(int(counts.sum()), 1)
