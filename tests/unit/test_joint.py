"""The joint model of context and cells: against a dense least squares, and its known nulls."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from engram_audio.numerics.covariance import Covariance
from engram_audio.structure import joint
from engram_audio.structure.joint import (
    ContextMoments,
    GroupSums,
    added_nats,
    fit_joint,
    fitting_cost,
    ridge_slope,
    scatter_factor,
    speaker_folds,
    train_error,
)

NUM_FRAMES, NUM_INPUTS, NUM_DIMS, NUM_GROUPS = 3000, 12, 5, 17
SCALES = np.geomspace(0.05, 3, NUM_INPUTS)  # an ill-conditioned context


def moments_of(x: np.ndarray, z: np.ndarray, penalty: float = 0.0) -> ContextMoments:
    centred = x - x.mean(axis=0)
    covariance = Covariance(centred.T @ centred / len(x))
    return ContextMoments(covariance, centred.T @ z / len(x), penalty)


def sums_of(x: np.ndarray, z: np.ndarray, codes: np.ndarray, num_groups: int) -> GroupSums:
    onehot = np.eye(num_groups)[codes]
    return GroupSums(onehot.sum(axis=0).astype(int), onehot.T @ (x - x.mean(axis=0)), onehot.T @ z)


def world(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Contexts whose mean differs by cell; targets with a slope and a jump of each cell."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(NUM_GROUPS, size=NUM_FRAMES)
    shift, jump = rng.normal(size=(2, NUM_GROUPS, NUM_INPUTS))
    x = (rng.normal(size=(NUM_FRAMES, NUM_INPUTS)) + shift[codes]) * SCALES + 4
    z = x @ rng.normal(size=(NUM_INPUTS, NUM_DIMS)) + jump[codes, :NUM_DIMS]
    z += rng.normal(size=z.shape)
    return x, z - z.mean(axis=0), codes


def test_the_joint_model_is_the_least_squares_fit_of_context_and_cells():
    x, z, codes = world()
    fit = fit_joint(moments_of(x, z), sums_of(x, z, codes, NUM_GROUPS))
    predicted = (x - x.mean(axis=0)) @ fit.slope + fit.intercept[codes]
    design = np.concatenate([x, np.eye(NUM_GROUPS)[codes]], axis=1)
    dense = design @ np.linalg.lstsq(design, z, rcond=None)[0]
    errors = [float(np.sum((z - own) ** 2)) for own in (predicted, dense)]
    assert errors[0] == pytest.approx(errors[1], rel=1e-8)
    np.testing.assert_allclose(predicted, dense, atol=1e-8)


@pytest.mark.parametrize("penalty", [1e-9, 1e-3, 1.0])
def test_a_slope_from_the_shared_factor_is_the_one_factored_anew(penalty, monkeypatch):
    """Wide contexts take the groups off a factor that exists. The dense fit agrees with both.

    An error of 2^-52 grows by the condition number of the moments within groups, which stays
    below (3 / .05)^2 times that of 12 correlated entries: 1e-9 leaves it four digits.
    """
    x, z, codes = world()
    codes = codes // 9  # two groups: few beside 12 entries
    sums = sums_of(x, z, codes, 3)  # and one without a frame
    anew = fit_joint(moments_of(x, z, penalty), sums)
    monkeypatch.setattr(joint, "WIDE_CONTEXT", 1)
    monkeypatch.setattr(joint, "ridge_slope", None)  # so that no other way is left
    moments = moments_of(x, z, penalty)
    for _ in range(2):  # the factor serves many keys
        shared = fit_joint(moments, sums)
        np.testing.assert_allclose(shared.slope, anew.slope, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(shared.intercept, anew.intercept, rtol=1e-9, atol=1e-9)


def test_groups_that_hold_a_context_entry_fixed_are_factored_anew(monkeypatch):
    """Cells that tell an entry exactly leave nothing of it: I - Q^T Q is singular then."""
    monkeypatch.setattr(joint, "WIDE_CONTEXT", 1)
    x, z, codes = world()
    x[:, 0], codes = codes // 9, codes // 9
    fit = fit_joint(moments_of(x, z, 0.0), sums_of(x, z, codes, 2))
    design = np.concatenate([x[:, 1:], np.eye(2)[codes]], axis=1)
    dense = design @ np.linalg.lstsq(design, z, rcond=None)[0]
    predicted = (x - x.mean(axis=0)) @ fit.slope + fit.intercept[codes]
    np.testing.assert_allclose(predicted, dense, atol=1e-6)


def test_a_covariance_is_read_back_from_its_factor():
    """Another penalty, or one that LAPACK refuses, finds the matrix as it was, bit for bit."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 700))  # more than one block of rows, and singular
    values = x.T @ x
    covariance = Covariance(values.copy())
    for penalty in (1.0, 1e-3, 1.0):
        lower = covariance.factor(penalty)
        assert lower is not None
        again = np.tril(lower) @ np.tril(lower).T
        np.testing.assert_allclose(again, values + penalty * np.eye(700), atol=1e-9)
    np.testing.assert_array_equal(covariance.dense(), values)
    assert covariance.factor(-1.0) is None
    np.testing.assert_array_equal(covariance.dense(), values)
    assert covariance.trace == np.trace(values)


def test_cells_fitted_to_the_residuals_of_ridge_say_less():
    """Why the two are fitted together: cell and context are correlated here."""
    x, z, codes = world()
    moments, sums = moments_of(x, z), sums_of(x, z, codes, NUM_GROUPS)
    fit = fit_joint(moments, sums)
    centred = x - x.mean(axis=0)
    together = z - centred @ fit.slope - fit.intercept[codes]
    residual = z - centred @ ridge_slope(moments)
    apart = residual - (np.eye(NUM_GROUPS)[codes].T @ residual / sums.counts[:, None])[codes]
    assert np.sum(together**2) < 0.95 * np.sum(apart**2)


@pytest.mark.parametrize("penalty", [1e-6, 1e-2, 1.0])
def test_with_one_cell_the_joint_model_is_the_linear_one(penalty: float):
    """So `added` compares nested models at every strength, and scikit-learn agrees with both."""
    x, z, _ = world()
    moments = moments_of(x, z, penalty)
    fit = fit_joint(moments, sums_of(x, z, np.zeros(len(x), int), 1))
    np.testing.assert_allclose(fit.slope, ridge_slope(moments), atol=1e-10)
    reference = Ridge(alpha=penalty * len(x)).fit(x, z)
    np.testing.assert_allclose(
        (x - x.mean(axis=0)) @ fit.slope + fit.intercept, reference.predict(x), atol=1e-7
    )


def test_an_empty_group_and_a_group_without_a_cell_are_harmless():
    x, z, codes = world()
    codes = codes // 2 * 2  # every other group is empty
    fit = fit_joint(moments_of(x, z), sums_of(x, z, codes, NUM_GROUPS))
    assert np.isfinite(fit.slope).all() and np.all(fit.intercept[1::2] == 0)


def test_a_context_that_spans_fewer_directions_than_it_has_entries():
    """A singular covariance, as of a constant dimension: the predictions stay finite."""
    x, z, codes = world()
    flat = np.concatenate([x, x[:, :3], np.ones((len(x), 1))], axis=1)
    moments = moments_of(flat, z, 1e-12)
    fit = fit_joint(moments, sums_of(flat, z, codes, NUM_GROUPS))
    alone = fit_joint(moments_of(x, z), sums_of(x, z, codes, NUM_GROUPS))
    predictions = [
        (own - own.mean(axis=0)) @ one.slope + one.intercept[codes]
        for own, one in ((flat, fit), (x, alone))
    ]
    np.testing.assert_allclose(*predictions, atol=1e-4)


def test_a_useless_key_adds_nothing_once_its_cost_is_taken_off():
    """White noise, D = 256, K = 256: the raw figure is -e, the corrected one 0 within its error.

    e is the sum over cells of mass / n, and R^2 of the linear model is 0. The error is that of 8
    draws of key and data, each with its own cells.
    """
    raw, corrected, expected = [], [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        num_train, num_new, num_cells = 6000, 4000, 256
        codes = rng.integers(num_cells, size=num_train + num_new)
        x = rng.normal(size=(len(codes), 4))
        z = rng.normal(size=(len(codes), 256))
        train = slice(0, num_train)
        moments = moments_of(x[train], z[train])
        sums = sums_of(x[train], z[train], codes[train], num_cells)
        fit = fit_joint(moments, sums)
        centred, new = x[num_train:] - x[train].mean(axis=0), codes[num_train:]
        linear = np.sum((z[num_train:] - centred @ ridge_slope(moments)) ** 2)
        error = np.sum((z[num_train:] - centred @ fit.slope - fit.intercept[new]) ** 2, axis=1)
        total = np.sum(z[num_train:] ** 2)
        raw.append((linear - error.sum()) / total)
        corrected.append((linear - np.sum(error * (1 - fitting_cost(sums.counts)[new]))) / total)
        expected.append(-np.mean(1 / sums.counts[new]))
    standard_error = np.std(corrected, ddof=1) / np.sqrt(len(corrected))
    assert abs(np.mean(corrected)) < 4 * standard_error
    assert np.mean(raw) == pytest.approx(np.mean(expected), rel=0.02)
    assert np.mean(raw) < -20 * standard_error


def test_the_cost_of_fitting_is_exact_where_cells_differ_in_variance():
    """A cell mean of n frames costs v / n, v the cell's own variance: no average over cells."""
    rng = np.random.default_rng(0)
    counts, spread = np.array([10, 200]), np.array([5.0, 0.2])
    found = []
    for _ in range(400):
        means = [
            rng.normal(0, sd / np.sqrt(n), size=20) for n, sd in zip(counts, spread, strict=True)
        ]
        new = [rng.normal(0, sd, size=20) for sd in spread]
        found.append([np.mean((b - a) ** 2) for a, b in zip(means, new, strict=True)])
    errors = np.array(found) * (1 - fitting_cost(counts))
    spread_of_mean = errors.std(axis=0) / np.sqrt(len(errors))
    assert np.all(np.abs(errors.mean(axis=0) - spread**2) < 4 * spread_of_mean)


def test_added_nats_and_their_influence():
    """The influence is the derivative in each speaker's weight, by central differences."""
    rng = np.random.default_rng(0)
    linear = rng.uniform(5, 9, size=(6, 3))
    joint = linear * rng.uniform(0.6, 0.9, size=linear.shape)
    found = added_nats(linear, joint)
    expected = 0.5 * np.sum(np.log(linear.sum(axis=0) / joint.sum(axis=0)))
    assert found.value == pytest.approx(expected)
    assert found.influence.sum() == pytest.approx(0, abs=1e-12)
    for speaker in range(6):
        ends = []
        for step in (-1e-4, 1e-4):
            weight = np.ones((6, 1))
            weight[speaker] += step
            ends.append(added_nats(weight * linear, weight * joint).value)
        slope = (ends[1] - ends[0]) / 2e-4
        assert found.influence[speaker] == pytest.approx(slope, abs=1e-6)


def test_a_dimension_without_error_adds_no_nats():
    linear, joint = np.array([[2.0, 0.0]]), np.array([[1.0, 0.0]])
    assert added_nats(linear, joint).value == pytest.approx(0.5 * np.log(2))


def test_folds_share_out_frames_and_split_no_speaker():
    folds = speaker_folds(np.array([100, 1, 30, 30, 40]), 2)
    assert folds.tolist() == [0, 0, 1, 1, 1]


def test_the_train_error_follows_from_the_sums():
    x, z, codes = world()
    for penalty in (0.0, 0.3):
        moments, sums = moments_of(x, z, penalty), sums_of(x, z, codes, NUM_GROUPS)
        fit = fit_joint(moments, sums)
        left = z - (x - x.mean(axis=0)) @ fit.slope - fit.intercept[codes]
        free = len(x) - NUM_GROUPS - NUM_INPUTS
        found = train_error(moments, sums, fit, float(np.sum(z**2)))
        assert found == pytest.approx(np.sum(left**2) / free)


@pytest.mark.parametrize(("stays", "low", "high"), [(1, 0.93, 1.07), (8, 0.1, 0.16)])
def test_a_cell_mean_of_frames_that_undo_one_another_scatters_less(stays, low, high):
    """Increments of white noise, D = 40, in cells that last 1 or 8 frames.

    The mean over a run of 8 telescopes: its variance is 2 / 64 in place of 2 / 8, an eighth.
    """
    rng = np.random.default_rng(0)
    num_frames, num_cells = 16000, 32
    z = np.diff(rng.normal(size=(num_frames + 1, 40)), axis=0)
    codes = np.repeat(rng.integers(num_cells, size=num_frames // stays), stays)
    half = (np.arange(num_frames) // 80) % 2
    none = np.empty((num_frames, 0))
    halves = [
        sums_of(none[half == h], z[half == h], codes[half == h], num_cells + 1) for h in (0, 1)
    ]
    whole = sums_of(none, z, codes, num_cells + 1)
    moments = ContextMoments(Covariance(np.empty((0, 0))), np.empty((0, 40)), 0.0)
    fit = fit_joint(moments, whole)
    error = train_error(moments, whole, fit, float(np.sum(z**2)))
    assert low < scatter_factor(halves, fit, error) < high


def test_means_that_scatter_less_cost_less():
    """F / n of the variance in place of 1 / n: the share is (f / n) / (1 + f / n)."""
    np.testing.assert_allclose(
        fitting_cost(np.array([4, 100]), 0.5), [0.125 / 1.125, 0.005 / 1.005]
    )
