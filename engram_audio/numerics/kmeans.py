"""k-means: k-means++ restarts on a subsample, then Lloyd on all features.

Distances are single-precision products, centroids float64 sums. Empty cells take the points that
lie farthest from their centroid. Ties and orders are fixed: the same generator gives the same bits.

Shapes: M features, Q feature dimensions, K centroids, R restarts.
"""

import numpy as np

from engram_audio.numerics.grouped import add_grouped

POINTS_PER_CELL = 20  # of the subsample that the restarts compete on (performance: C1)
SMALLEST_SUBSAMPLE = 8192
LARGEST_RESTARTED = (
    1024  # with more cells the spread between starts is far below the sampling error
)
RESTART_ITERATIONS = 10
CANDIDATES = 5  # points tried per step of a start
SAMPLE_FIRST = (
    4  # Lloyd converges on the subsample first where all features are this many times more
)
TOLERANCE = 3e-5  # stop when an iteration lowers the inertia by less than this share
SCORE_FLOATS = 2**16  # products held at a time, so that they stay in the cache


def fit_kmeans(
    features: np.ndarray,
    num_cells: int,
    restarts: int,
    iterations: int,
    generator: np.random.Generator,
) -> np.ndarray:
    """Return centroids, [K, Q], float32.

    Args:
        features: [M, Q], float32, M >= K.
        num_cells: K.
        restarts: k-means++ starts that compete on the subsample (one above 1024 cells).
        iterations: Most Lloyd iterations on all features.
        generator: Randomness of the starts.

    Raises:
        ValueError: Fewer features than cells.
    """
    if len(features) < num_cells:
        raise ValueError(f"{len(features)} features cannot have {num_cells} cells")
    size = min(len(features), max(POINTS_PER_CELL * num_cells, SMALLEST_SUBSAMPLE))
    sample = evenly(features, size)
    starts = _plus_plus(
        sample, num_cells, restarts if num_cells <= LARGEST_RESTARTED else 1, generator
    )
    if len(starts) > 1:
        runs = [_lloyd(sample, start, RESTART_ITERATIONS) for start in starts]
        best = min(range(len(runs)), key=lambda number: (runs[number][1], number))
        start = runs[best][0]
    else:
        start = starts[0]
    if SAMPLE_FIRST * len(sample) <= len(features):
        start = _lloyd(sample, start, iterations)[0]
    return _lloyd(features, start, iterations)[0].astype(np.float32)


def assign(
    features: np.ndarray, centroids: np.ndarray, norm: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return each feature's nearest centroid, int32, and its squared distance, float32, [M].

    `norm` holds the squared norms of the features, where they are known already.
    """
    norm = _squared_norm(features) if norm is None else norm
    labels = np.empty(len(features), dtype=np.int32)
    distance = np.empty(len(features), dtype=np.float32)
    num_cells, width = centroids.shape
    # nearest = argmax of f . c - |c|^2 / 2, one product of (f, 1) and (c, -|c|^2 / 2)
    weights = np.empty((width + 1, num_cells), dtype=np.float32)
    weights[:width] = centroids.T
    weights[width] = -0.5 * np.einsum("kq,kq->k", centroids, centroids, dtype=np.float64)
    step = max(SCORE_FLOATS // num_cells, 64)
    padded = np.ones((step, width + 1), dtype=np.float32)
    row_starts = np.arange(step) * num_cells
    for start in range(0, len(features), step):
        part = features[start : start + step]
        padded[: len(part), :width] = part
        score = padded[: len(part)] @ weights
        nearest = np.argmax(score, axis=1)
        labels[start : start + step] = nearest
        best = score.reshape(-1).take(row_starts[: len(part)] + nearest)
        distance[start : start + step] = norm[start : start + step] - 2 * best
    return labels, np.maximum(distance, 0, out=distance)


def _squared_norm(features: np.ndarray) -> np.ndarray:
    return np.einsum("mq,mq->m", features, features)


def evenly(features: np.ndarray, size: int) -> np.ndarray:
    """Return `size` rows spread evenly over all rows."""
    if size >= len(features):
        return features
    return features[(np.arange(size) * len(features)) // size]


def _lloyd(
    features: np.ndarray, centroids: np.ndarray, iterations: int
) -> tuple[np.ndarray, float]:
    centroids = centroids.astype(np.float64)
    norm = _squared_norm(features)
    previous = np.inf
    for _ in range(iterations):
        labels, distance = assign(features, centroids, norm)
        inertia = float(distance.sum(dtype=np.float64))
        if previous - inertia <= TOLERANCE * inertia:
            break
        previous = inertia
        counts = np.bincount(labels, minlength=len(centroids))
        sums = np.zeros(centroids.shape)
        add_grouped(sums, features, labels)
        centroids = sums / np.maximum(counts, 1)[:, None]
        empty = np.flatnonzero(counts == 0)
        if len(empty):
            farthest = np.argsort(-distance, kind="stable")[: len(empty)]
            centroids[empty] = features[farthest]
    return centroids, previous


def _plus_plus(
    sample: np.ndarray, num_cells: int, restarts: int, generator: np.random.Generator
) -> np.ndarray:
    """Draw greedy k-means++ starts for all restarts at once, [R, K, Q].

    Each step draws `CANDIDATES` points in proportion to their squared distance and keeps the one
    that leaves the least inertia.
    """
    norm = _squared_norm(sample)
    chosen = np.empty((restarts, num_cells), dtype=np.int64)
    chosen[:, 0] = generator.integers(len(sample), size=restarts)
    nearest = _distances(sample, norm, chosen[:, 0])
    every = np.arange(restarts)
    for cell in range(1, num_cells):
        cumulative = np.cumsum(nearest, axis=1, dtype=np.float64)
        threshold = generator.random((restarts, CANDIDATES)) * cumulative[:, -1:]
        drawn = np.stack(
            [
                np.searchsorted(*pair, side="right")
                for pair in zip(cumulative, threshold, strict=True)
            ]
        )
        drawn = np.minimum(drawn, len(sample) - 1)
        distance = _distances(sample, norm, drawn.ravel()).reshape(restarts, CANDIDATES, -1)
        np.minimum(distance, nearest[:, None], out=distance)
        best = np.argmin(distance.sum(axis=2), axis=1)
        nearest = distance[every, best]
        chosen[:, cell] = drawn[every, best]
    return sample[chosen]


def _distances(sample: np.ndarray, norm: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Return squared distances of some points to all, [points, M]."""
    distance = (-2 * sample[points]) @ sample.T
    distance += norm
    distance += norm[points][:, None]
    return np.maximum(distance, 0, out=distance)
