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
SMALL_CELLS, CELLS_EACH = 512, 8  # cells that are merged, at most, and for each that is wanted


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
        restarts: Random starts that compete by the nats they lose; one above
            `LARGEST_RESTARTED` cells. A start of merged small cells competes too.
        iterations: Steps of each.
        generator: Randomness of the starts.

    Raises:
        ValueError: Fewer laws than cells.
    """
    if len(laws) < num_cells:
        raise ValueError(f"{len(laws)} laws cannot have {num_cells} cells")
    entropy = -(laws * np.log(np.maximum(laws, SMALLEST_WEIGHT))).sum(1)
    best, least = np.empty(0), np.inf
    starts = [
        _start(laws, entropy, num_cells, generator)
        for _ in range(restarts if num_cells <= LARGEST_RESTARTED else 1)
    ]
    count = min(CELLS_EACH * num_cells, SMALL_CELLS, len(laws))
    if count > num_cells:
        starts.append(_merged_start(laws, entropy, num_cells, count, iterations, generator))
    for start in starts:
        centroids, lost = _refined(laws, entropy, start, iterations)
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


def _refined(
    laws: np.ndarray, entropy: np.ndarray, centroids: np.ndarray, iterations: int
) -> tuple[np.ndarray, float]:
    """Return centroids after some steps, and the mean KL that they left before the last."""
    lost = np.inf
    for _ in range(iterations):
        codes, cross = nearest_laws(laws, centroids)
        lost = float((cross - entropy).mean())
        centroids = _means(laws, codes, cross - entropy, len(centroids))
    return centroids, lost


def _merged_start(
    laws: np.ndarray,
    entropy: np.ndarray,
    num_cells: int,
    count: int,
    iterations: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return centroids of small cells that were merged, the cheapest pair first.

    Laws on different targets have nothing in common, so a random start joins them anyhow, many in
    one cell. A merger costs the nats that it loses, which keeps cells of like weight.
    """
    start = _start(laws, entropy, count, generator)
    centroids, _ = _refined(laws, entropy, start, iterations)
    codes, _ = nearest_laws(laws, centroids)
    weights = np.bincount(codes, minlength=count) / len(laws)
    cells, weights = centroids[weights > 0].astype(np.float64), weights[weights > 0]
    own = weights * _entropy(cells)
    costs = np.stack([_costs(cells, weights, own, row) for row in range(len(cells))])
    while len(cells) > num_cells:
        first, second = sorted(divmod(int(costs.argmin()), len(cells)))
        both = weights[first] + weights[second]
        shares = np.array([weights[first], weights[second]]) / both
        cells[first], weights[first] = shares @ cells[[first, second]], both
        own[first] = both * _entropy(cells[first])
        cells, weights, own = (np.delete(one, second, 0) for one in (cells, weights, own))
        costs = np.delete(np.delete(costs, second, 0), second, 1)
        costs[first] = costs[:, first] = _costs(cells, weights, own, first)
    missing = max(num_cells - len(cells), 0)  # where small cells were empty
    return np.concatenate([cells, laws[:missing]]).astype(np.float32)


def _costs(cells: np.ndarray, weights: np.ndarray, own: np.ndarray, row: int) -> np.ndarray:
    """Return the nats lost by merging one cell with each other, infinite with itself, [K]."""
    both = weights + weights[row]
    mixed = (weights[:, None] * cells + weights[row] * cells[row]) / both[:, None]
    lost = both * _entropy(mixed) - own - own[row]
    lost[row] = np.inf
    return lost


def _entropy(laws: np.ndarray) -> np.ndarray:
    return -(laws * np.log(np.maximum(laws, SMALLEST_WEIGHT))).sum(-1)


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
