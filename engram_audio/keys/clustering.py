"""Cells of predicted laws: centroids that lose the least information about the target.

Contexts that predict alike share a cell, wherever they lie. A cell keeps the mean of its laws, and
each context goes to the cell with the smallest KL(law || centroid). Each step lowers the nats lost
(Dhillon et al. 2003; the hard limit of the predictive information bottleneck, Still 2014).

Shapes: N laws, G components, K cells.
"""

import numpy as np

from engram_audio.keys.law_weights import SMALLEST_WEIGHT
from engram_audio.numerics.grouped import add_grouped

ROWS = 4096  # assigned at a time
SMOOTHING = 0.1  # of the mean law in a start: one context's law has weights of almost 0
LARGEST_RESTARTED = 1024  # with more cells one start must do


def cluster_laws(
    laws: np.ndarray,
    num_cells: int,
    restarts: int,
    iterations: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return the centroids of the best start, [K, G], float32, each a law.

    Args:
        laws: Rows that sum to 1, [N, G], float32, N >= K.
        num_cells: K.
        restarts: Starts that compete by the nats they lose; one above `LARGEST_RESTARTED` cells.
        iterations: Steps of each.
        generator: Randomness of the starts.

    Raises:
        ValueError: Fewer laws than cells.
    """
    if len(laws) < num_cells:
        raise ValueError(f"{len(laws)} laws cannot have {num_cells} cells")
    entropy = -(laws * np.log(np.maximum(laws, SMALLEST_WEIGHT))).sum(1)
    best, least = np.empty(0), np.inf
    for _ in range(restarts if num_cells <= LARGEST_RESTARTED else 1):
        centroids, lost = _one_start(laws, entropy, num_cells, iterations, generator)
        if lost < least:
            best, least = centroids, lost
    return best


def nearest_laws(laws: np.ndarray, centroids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each law's cell and its cross entropy there, [N]."""
    logs = np.log(np.maximum(centroids, SMALLEST_WEIGHT)).T.astype(np.float32)
    codes, cross = np.empty(len(laws), np.int64), np.empty(len(laws), np.float32)
    for start in range(0, len(laws), ROWS):
        part = slice(start, start + ROWS)
        scores = laws[part] @ logs
        codes[part] = scores.argmax(1)
        cross[part] = -scores[np.arange(len(scores)), codes[part]]
    return codes, cross


def _one_start(
    laws: np.ndarray,
    entropy: np.ndarray,
    num_cells: int,
    iterations: int,
    generator: np.random.Generator,
) -> tuple[np.ndarray, float]:
    """Return centroids and the mean KL that they leave."""
    centroids = _start(laws, entropy, num_cells, generator)
    lost = np.inf
    for _ in range(iterations):
        codes, cross = nearest_laws(laws, centroids)
        lost = float((cross - entropy).mean())
        centroids = _means(laws, codes, cross - entropy, num_cells)
    return centroids, lost


def _start(
    laws: np.ndarray, entropy: np.ndarray, num_cells: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw laws one after the other, each with a chance that grows with what it still loses."""
    mean = laws.mean(0)
    centroids = np.empty((num_cells, laws.shape[1]), np.float32)
    lost = np.ones(len(laws))
    for number in range(num_cells):
        drawn = int(np.searchsorted(np.cumsum(lost), generator.random() * lost.sum()))
        own = laws[min(drawn, len(laws) - 1)]
        centroids[number] = (1 - SMOOTHING) * own + SMOOTHING * mean
        log = np.log(np.maximum(centroids[number], SMALLEST_WEIGHT))
        now = np.maximum(-(laws @ log) - entropy, 0.0)
        lost = now if number == 0 else np.minimum(lost, now)
        if not lost.sum() > 0:
            lost = np.ones(len(laws))
    return centroids


def _means(laws: np.ndarray, codes: np.ndarray, lost: np.ndarray, num_cells: int) -> np.ndarray:
    """Return the mean law of each cell; an empty cell takes a context that is served worst."""
    total = np.zeros((num_cells, laws.shape[1]))
    add_grouped(total, laws, codes)
    counts = np.bincount(codes, minlength=num_cells)
    empty = np.flatnonzero(counts == 0)
    if len(empty):
        worst = np.argsort(-lost, kind="stable")[: len(empty)]
        total[empty[: len(worst)]] = laws[worst]
        counts[empty] = 1
    return (total / counts[:, None]).astype(np.float32)
