"""Codes of quantisers against their definitions, for numpy arrays and for tensors alike."""

import numpy as np
import pytest
import torch

from engram_audio.keys.config import AnyQuantizer
from engram_audio.keys.fitted import coded
from engram_audio.keys.quantizers import (
    Fitting,
    Hyperplanes,
    KMeans,
    Product,
    QuantileBins,
)

FEATURES = np.random.default_rng(0).normal(size=(500, 4)).astype(np.float32)
# Far from 0 and of unequal length: only the true distance finds the nearest.
CENTROIDS = (3 + 2 * np.random.default_rng(1).normal(size=(16, 4))).astype(np.float32)


def both(quantizer: AnyQuantizer, features: np.ndarray, arrays: dict[str, np.ndarray]) -> list[int]:
    """Codes as numpy and torch give them; they must be the same."""
    found = np.asarray(quantizer.codes(features, arrays))
    tensors = {name: torch.as_tensor(values) for name, values in arrays.items()}
    again = quantizer.codes(torch.as_tensor(features), tensors)
    assert again.tolist() == found.tolist()
    assert coded(quantizer, arrays, features).cells.tolist() == found.tolist()
    return found.tolist()


def nearest(features: np.ndarray, centroids: np.ndarray) -> np.ndarray:
    squares = ((features[:, None].astype(float) - centroids) ** 2).sum(-1)
    return squares.argmin(1)


def test_kmeans_takes_the_nearest_centroid():
    quantizer = KMeans(kind="kmeans", codebook_sizes=(16,))
    features = FEATURES + 3
    expected = nearest(features, CENTROIDS)
    assert len(set(expected.tolist())) > 8
    assert both(quantizer, features, {"centroids": CENTROIDS}) == expected.tolist()
    found = coded(quantizer, {"centroids": CENTROIDS}, features)
    squares = ((features - CENTROIDS[expected]) ** 2).sum(1)
    assert found.confidence == pytest.approx(-squares, rel=1e-3, abs=1e-3)


def test_a_product_numbers_the_nearest_of_each_group():
    """Every second feature is a group; the first group counts ones, the second 8s."""
    quantizer = Product(kind="product", num_groups=2, num_codes=8)
    arrays = {"centroids_0": CENTROIDS[:8, ::2], "centroids_1": CENTROIDS[8:, 1::2]}
    arrays = {name: np.ascontiguousarray(values) for name, values in arrays.items()}
    features = FEATURES + 3
    first, second = (nearest(features[:, g::2], arrays[f"centroids_{g}"]) for g in (0, 1))
    assert both(quantizer, features, arrays) == (first + 8 * second).tolist()


def test_a_value_on_an_edge_lies_in_the_bin_above():
    quantizer = QuantileBins(kind="quantile_bins", num_bins=4)
    values = np.arange(8, dtype=np.float32)[:, None]
    size = next(iter(quantizer.sizes(1)))
    arrays = quantizer.fit(size, values, Fitting(1, 1, np.random.default_rng(0)))
    edges = arrays["edges"][:, 0]
    expected = [int((value >= edges).sum()) for value in edges]
    assert both(quantizer, edges[:, None], arrays) == expected == [1, 2, 3]
    below = np.nextafter(edges, np.float32(-np.inf))[:, None]
    assert both(quantizer, below, arrays) == [0, 1, 2]


def test_hyperplanes_give_a_bit_for_each_side():
    quantizer = Hyperplanes(kind="lsh", num_bits=3)
    arrays = {"planes": np.eye(4, 3, dtype=np.float32), "offsets": np.zeros(3, np.float32),
              "powers": 2 ** np.arange(3)}  # fmt: skip
    expected = (FEATURES[:, :3] > 0) @ np.array([1, 2, 4])
    assert both(quantizer, FEATURES, arrays) == expected.tolist()
