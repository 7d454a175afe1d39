"""Pareto fronts of small tables.

Shapes: N points, C costs.
"""

import numpy as np


def beaten(costs: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Return which points another one beats: no worse in any cost and better in one, bool, [N].

    Args:
        costs: Smaller is better, [N, C]. A point with a NaN beats nothing, and nothing beats it.
        groups: Number of each point's group, [N]. Only points of one group compete.
    """
    beats = np.all(costs[None] <= costs[:, None], axis=2)
    beats &= np.any(costs[None] < costs[:, None], axis=2)
    if groups is not None:
        beats &= groups[None] == groups[:, None]
    return np.any(beats, axis=1)
