"""Window moments and PCA without windows equal those of materialised windows."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from engram_audio import windows
from engram_audio.numerics.grouped import CHUNK_ROWS, add_grouped
from engram_audio.numerics.step_moments import StepAccumulator
from engram_audio.numerics.subspace import leading_eigenvectors
from engram_audio.numerics.window_moments import WindowAccumulator

SIZES = st.lists(st.integers(1, 40), min_size=1, max_size=6)


def materialised(frames, targets, lag, width):
    contexts = windows.gather_contexts(frames, targets, lag, width)
    return contexts.reshape(len(targets), -1)


def two_blocks(offsets, width, lag, random):
    """Frames of two blocks and some of their targets; a block without any is left out."""
    rng = np.random.default_rng(len(offsets))
    for _ in range(2):
        frames = rng.normal(size=(offsets[-1], 3)) + 5
        targets = windows.target_rows(offsets, width, lag)
        targets = targets[[random.random() < 0.7 for _ in targets]]
        if len(targets):
            yield frames, targets


@settings(deadline=None)
@given(
    SIZES, st.integers(1, 6), st.integers(1, 4), st.integers(0, 2),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_moments_equal_those_of_materialised_windows(sizes, width, lag, more, random):
    """Mean, covariance and cross moments, for any subset of targets and two blocks."""
    offsets, rng = np.concatenate([[0], np.cumsum(sizes)]), np.random.default_rng(len(sizes))
    accumulator = WindowAccumulator(width, 3, 2)
    flat, wanted = [], []
    for frames, targets in two_blocks(offsets, width, lag + more, random):
        z = rng.normal(size=(len(targets), 2))
        accumulator.add(frames, offsets, targets, lag, z)
        flat.append(materialised(frames, targets, lag, width))
        wanted.append(z)
    if not flat:
        return
    x, z = np.concatenate(flat), np.concatenate(wanted)
    moments = accumulator.moments()
    # float64 sums of at most 480 products of size 64: absolute error below 480 * 64 * 1e-16 * few
    assert moments.num_windows == len(x)
    np.testing.assert_allclose(moments.mean, x.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(moments.covariance, np.cov(x.T, bias=True).reshape(
        moments.covariance.shape), atol=1e-9)  # fmt: skip
    cross = (x - x.mean(axis=0)).T @ (z - z.mean(axis=0)) / len(x)
    np.testing.assert_allclose(moments.cross, cross, atol=1e-9)


@settings(deadline=None)
@given(
    SIZES, st.integers(1, 6), st.integers(1, 7), st.integers(0, 2),
    st.randoms(use_true_random=False),
)  # fmt: skip
def test_moments_with_steps_equal_those_of_materialised_windows(sizes, width, lag, more, random):
    """Lags on either side of the window's length, any subset of targets, two blocks, a shift."""
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    accumulator = StepAccumulator(width, 3, lag)
    flat, wanted = [], []
    for frames, targets in two_blocks(offsets, width, lag + more, random):
        steps = windows.increments(frames, offsets)
        accumulator.add_steps(frames - 4, steps, offsets, targets)
        flat.append(materialised(frames, targets, lag, width))
        wanted.append(windows.delta(frames, targets))
    if not flat:
        return
    x, z = np.concatenate(flat), np.concatenate(wanted)
    moments = accumulator.moments()
    # the same bound as above: the shift makes products smaller
    np.testing.assert_allclose(moments.mean + 4, x.mean(axis=0), atol=1e-10)
    np.testing.assert_allclose(moments.covariance, np.cov(x.T, bias=True).reshape(
        moments.covariance.shape), atol=1e-9)  # fmt: skip
    cross = (x - x.mean(axis=0)).T @ (z - z.mean(axis=0)) / len(x)
    np.testing.assert_allclose(moments.cross, cross, atol=1e-9)


def test_a_slow_walk_keeps_its_steps_in_single_precision():
    """Steps of a thousandth of the positions' SD: their cross moments hold to float32's rounding.

    As a difference of two products of positions they would err 573 times the unit below.
    """
    rng = np.random.default_rng(0)
    frames = (np.arange(4000)[:, None] + rng.normal(size=(4000, 2))) * 1e-3
    frames = (frames - frames.mean(axis=0)).astype(np.float32)
    offsets = np.array([0, 4000])
    targets = windows.target_rows(offsets, 3, 2)
    accumulator = StepAccumulator(3, 2, 2)
    accumulator.add_steps(frames, windows.increments(frames, offsets), offsets, targets)
    x = materialised(frames.astype(float), targets, 2, 3)
    z = windows.delta(frames.astype(float), targets)
    cross = (x - x.mean(axis=0)).T @ (z - z.mean(axis=0)) / len(x)
    # n products of size SD SD, each rounded by 2^-24 of a partial sum that grows as sqrt(n)
    unit = 2.0**-24 * np.sqrt(len(x)) * x.std() * z.std()
    np.testing.assert_allclose(accumulator.moments().cross, cross, atol=unit)


@pytest.mark.parametrize("num_dims", [4, 48])
def test_principal_components_equal_sklearn(num_dims):
    """Cosines to sklearn's components on materialised windows are at least 0.9999.

    48 dimensions and 8 frames take the Lanczos path, 4 the dense one.
    """
    rng = np.random.default_rng(0)
    offsets = np.arange(0, 3001, 60)
    # an autoregression with distinct spectra: leading components are apart
    frames = rng.normal(size=(3000, num_dims)) * np.geomspace(4, 0.3, num_dims)
    for row in range(1, 3000):
        frames[row] += 0.8 * frames[row - 1]
    frames = frames.astype(np.float32)
    targets = windows.target_rows(offsets, 8, 4)
    accumulator = WindowAccumulator(8, num_dims)
    accumulator.add(frames, offsets, targets, 2)
    vectors = leading_eigenvectors(accumulator.moments().covariance, 6)[1]
    expected = PCA(6, svd_solver="full").fit(materialised(frames, targets, 2, 8)).components_
    cosines = np.abs(np.sum(vectors.T * expected, axis=1))
    assert cosines.min() >= 0.9999


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 60), st.integers(0, 99))
def test_grouped_sums_equal_a_loop(num_groups, num_rows, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(num_rows, 3))
    codes = rng.integers(num_groups, size=num_rows)
    total = np.ones((num_groups, 3))
    add_grouped(total, values, codes)
    expected = np.ones((num_groups, 3))
    np.add.at(expected, codes, values)
    np.testing.assert_allclose(total, expected, atol=1e-12)


def test_single_precision_rows_are_summed_in_double():
    """2^20 rows of 1 + 2^-20: a float32 sum over all of them would lose the tail."""
    rows = np.full((2**20, 1), 1 + 2.0**-20, dtype=np.float32)
    total = np.zeros((1, 1))
    add_grouped(total, rows, np.zeros(len(rows), dtype=np.int64))
    exact = float(rows[0, 0]) * len(rows)
    # rounding within a chunk: at most CHUNK_ROWS / 2 additions of half an ulp on average
    assert abs(total[0, 0] / exact - 1) < CHUNK_ROWS * 2.0**-24
    assert total.dtype == np.float64


@settings(deadline=None)
@given(SIZES, st.integers(2, 6), st.integers(1, 3))
def test_increments_are_differences_within_the_context(sizes, width, lag):
    """Contexts of W - 1 increments are the differences of contexts of W frames."""
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    frames = np.random.default_rng(1).normal(size=(offsets[-1], 2))
    targets = windows.target_rows(offsets, width, lag)
    steps = windows.increments(frames, offsets)
    shown = windows.gather_contexts(steps, targets, lag, width - 1)
    expected = np.diff(windows.gather_contexts(frames, targets, lag, width), axis=1)
    np.testing.assert_array_equal(shown, expected)
    assert np.all(steps[offsets[:-1]] == 0)


@settings(deadline=None)
@given(SIZES, st.integers(1, 13), st.integers(1, 3))
def test_doubling_sums_equal_the_mean_of_materialised_windows(sizes, width, lag):
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    frames = np.random.default_rng(2).normal(size=(offsets[-1], 2)).astype(np.float32)
    targets = windows.target_rows(offsets, width, lag)
    pooled = windows.mean_pool(frames, targets, lag, width)
    expected = windows.gather_contexts(frames.astype(float), targets, lag, width).mean(axis=1)
    # float32 sums of at most 13 numbers of order 4: error below 13 * 4 * 2**-24 * 13 / 13
    np.testing.assert_allclose(pooled, expected, atol=5e-6)


def test_wide_projections_equal_narrow_ones():
    """More components than are projected in one product take the path that saves memory."""
    rng = np.random.default_rng(0)
    offsets = np.array([0, 30, 70])
    frames = rng.normal(size=(70, 6))
    wide = rng.normal(size=(4, 6, windows.NARROW_COMPONENTS + 1))
    targets = windows.target_rows(offsets, 4, 2)
    whole = windows.project_contexts(frames, targets, 2, wide)
    narrow = windows.project_contexts(frames, targets, 2, wide[:, :, :5])
    np.testing.assert_allclose(whole[:, :5], narrow, atol=1e-12)
