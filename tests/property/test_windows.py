"""Laws of (t, lag, W): contexts end k frames before t, never cross utterances, never see t."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engram_audio import windows

SIZES = st.lists(st.integers(1, 30), min_size=1, max_size=6)


def offsets_of(sizes: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(sizes)])


@given(SIZES, st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
def test_contexts_lie_in_the_target_s_utterance_and_end_at_t_minus_k(sizes, width, lag, more):
    offsets = offsets_of(sizes)
    targets = windows.target_rows(offsets, width, lag + more)
    rows = windows.context_rows(targets, lag, width)
    assert np.all(rows[:, -1] == targets - lag)
    assert np.all(rows[:, 0] == targets - lag - width + 1)
    own = windows.utterance_of_rows(offsets, targets)
    for column in rows.T:
        assert np.array_equal(windows.utterance_of_rows(offsets, column), own)


@given(SIZES, st.integers(1, 5), st.integers(1, 6))
def test_targets_are_all_frames_whose_context_at_the_largest_lag_exists(sizes, width, lag):
    offsets = offsets_of(sizes)
    expected = [
        start + t for start, size in zip(offsets, sizes, strict=False)
        for t in range(size) if t - lag - width + 1 >= 0
    ]  # fmt: skip
    assert windows.target_rows(offsets, width, lag).tolist() == expected


@given(SIZES, st.integers(1, 4), st.integers(1, 3), st.randoms(use_true_random=False))
def test_runs_partition_the_targets_inside_utterances(sizes, width, lag, random):
    offsets = offsets_of(sizes)
    targets = windows.target_rows(offsets, width, lag)
    targets = targets[[random.random() < 0.7 for _ in targets]]
    runs = windows.consecutive_runs(offsets, targets)
    rows = [row for a, b in zip(runs.start, runs.stop, strict=True) for row in range(a, b)]
    assert rows == targets.tolist()
    first = windows.utterance_of_rows(offsets, runs.start)
    assert np.array_equal(first, windows.utterance_of_rows(offsets, runs.stop - 1))
    touching = (runs.start[1:] == runs.stop[:-1]) & (first[1:] == first[:-1])
    assert not touching.any(), "runs are maximal"


@given(SIZES, st.integers(1, 4), st.integers(1, 3))
def test_pooling_and_projection_equal_the_materialised_windows(sizes, width, lag):
    generator = np.random.default_rng(len(sizes))
    offsets = offsets_of(sizes)
    frames = generator.normal(size=(offsets[-1], 3))
    targets = windows.target_rows(offsets, width, lag)
    contexts = windows.gather_contexts(frames, targets, lag, width)
    components = generator.normal(size=(width, 3, 2))
    projected = windows.project_contexts(frames, targets, lag, components)
    np.testing.assert_allclose(
        projected, np.einsum("mwd,wdq->mq", contexts, components), rtol=0, atol=1e-12
    )
    pooled = windows.mean_pool(frames, targets, lag, width)
    # float32 sums of at most 4 numbers of order 3: error below 4 * 3 * 2**-24 * 4
    np.testing.assert_allclose(pooled, contexts.mean(axis=1), rtol=0, atol=3e-6)


@given(SIZES, st.integers(1, 4), st.integers(1, 3), st.integers(0, 200))
def test_the_context_never_sees_the_target_or_later(sizes, width, lag, where):
    """Changing frames from t - k + 1 on leaves the context of t as it was."""
    offsets = offsets_of(sizes)
    frames = np.random.default_rng(0).normal(size=(offsets[-1], 2))
    targets = windows.target_rows(offsets, width, lag)
    if len(targets) == 0:
        return
    target = targets[[where % len(targets)]]
    before = windows.gather_contexts(frames, target, lag, width)
    frames[target[0] - lag + 1 :] = 1e9
    assert np.array_equal(before, windows.gather_contexts(frames, target, lag, width))


def test_delta_and_position_by_hand():
    frames = np.array([[0.0], [1.0], [3.0], [7.0], [8.0]])
    offsets = np.array([0, 3, 5])
    assert windows.delta(frames, np.array([1, 2, 4])).tolist() == [[1.0], [2.0], [1.0]]
    fractions = windows.position_fraction(offsets, np.array([0, 2, 3]))
    np.testing.assert_allclose(fractions, [1 / 6, 5 / 6, 1 / 4])


def test_a_window_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least 1"):
        windows.first_target(0, 1)


@given(SIZES)
def test_increments_begin_anew_in_each_utterance(sizes):
    """x_t - x_{t-1} inside an utterance, 0 at its head: no step leads from one to the next."""
    offsets = offsets_of(sizes)
    frames = np.random.default_rng(len(sizes)).normal(size=(offsets[-1], 2))
    steps = windows.increments(frames, offsets)
    for start, stop in itertools.pairwise(offsets):
        assert np.array_equal(steps[start], np.zeros(2))
        assert np.array_equal(steps[start + 1 : stop], np.diff(frames[start:stop], axis=0))
