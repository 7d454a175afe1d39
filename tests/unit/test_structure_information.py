"""The key's own information: against densities by scipy, and its bound."""

import numpy as np
import pytest
from scipy import stats

from engram_audio.structure.cells import CellTables, make_labeling
from engram_audio.structure.information import (
    MAXIMUM_FRAMES,
    cell_shares,
    frame_information,
    information_rows,
    key_information,
)

NUM_CELLS, NUM_DIMS = 5, 3


def world(spread: float) -> tuple[CellTables, np.ndarray, np.ndarray]:
    """Gaussian cells whose centres lie `spread` apart, and frames that belong to them."""
    rng = np.random.default_rng(0)
    mean = spread * rng.normal(size=(NUM_CELLS + 1, NUM_DIMS)).astype(np.float32)
    variance = rng.uniform(0.5, 2, size=(NUM_CELLS, NUM_DIMS))
    codes = rng.choice(NUM_CELLS, p=[0.5, 0.2, 0.1, 0.1, 0.1], size=800)
    z = mean[codes] + np.sqrt(variance[codes]) * rng.normal(size=(800, NUM_DIMS))
    return CellTables(mean, variance, np.zeros(NUM_CELLS)), z.astype(np.float32), codes


@pytest.mark.parametrize("spread", [0.0, 1.0, 50.0])
def test_information_is_that_of_the_cell_beside_all_cells_and_at_most_their_entropy(spread: float):
    tables, z, codes = world(spread)
    labeling = make_labeling(codes, np.zeros(800, dtype=np.int8), NUM_CELLS, 1)
    shares = cell_shares(labeling, codes)
    found = frame_information(key_information(tables), labeling, z, codes, shares)
    densities = np.stack(
        [
            stats.norm.logpdf(z, tables.mean[cell], np.sqrt(tables.variance[cell])).sum(axis=1)
            for cell in range(NUM_CELLS)
        ]
    )
    mixture = np.log(np.einsum("c,cm->m", shares, np.exp(densities - densities.max(axis=0))))
    expected = densities[codes, np.arange(800)] - mixture - densities.max(axis=0)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    entropy = -np.sum(shares * np.log(shares))
    assert found.mean() <= entropy + 1e-9 <= np.log(NUM_CELLS)
    if spread == 50:
        assert found.mean() == pytest.approx(entropy, abs=1e-6), "cells far apart tell all"


def test_excluded_frames_carry_no_information():
    tables, z, codes = world(1.0)
    labeling = make_labeling(codes, np.zeros(800, dtype=np.int8), NUM_CELLS, 1)
    outside = np.full(800, NUM_CELLS)
    shares = cell_shares(labeling, codes)
    found = frame_information(key_information(tables), labeling, z, outside, shares)
    assert not found.any()


def test_so_many_frames_of_every_part_are_scored_and_no_more():
    part = np.repeat([0, 1, 2, 3], [10, MAXIMUM_FRAMES, 3 * MAXIMUM_FRAMES, 0])
    chosen = information_rows(part)
    counts = [10, MAXIMUM_FRAMES, MAXIMUM_FRAMES, 0]
    assert np.bincount(part[chosen], minlength=4).tolist() == counts
