"""The linear ladder: streamed moments equal explicit windows, and closed-form scores are exact."""

import numpy as np
import pytest
import torch

from engram_audio import windows
from engram_audio.densities.base import LinearBase
from engram_audio.densities.density import event_offset
from engram_audio.densities.factory import build_gaussian
from engram_audio.densities.linear import LaggedMoments, problem_of, ridge_weight
from engram_audio.densities.nulls import base_for, linear_nulls_for
from engram_audio.densities.task import DensityTask
from tests.unit.prediction_material import first_order, make_block, make_world, white_noise

CPU = torch.device("cpu")


@pytest.mark.parametrize(("lag", "order", "target"), [(1, 4, "delta"), (2, 3, "position")])
def test_moments_are_those_of_explicit_windows(lag: int, order: int, target: str):
    """One pass over shifted blocks gives the second moments of materialised regressors."""
    block = make_block(first_order(0.6, 3), 2, 3, 0)
    centre = np.full(3, 0.3)
    targets = windows.target_rows(block.offsets, 4, 2)
    moments = LaggedMoments(3, 5, centre)
    half = int(block.offsets[3])
    moments.add(block.frames, block.offsets, targets[targets < half])
    moments.add(block.frames, block.offsets, targets[targets >= half])
    x = block.frames.astype(float) - centre
    newest = [x[targets - lag]]
    steps = [x[targets - lag - i] - x[targets - lag - i - 1] for i in range(order - 1)]
    value = x[targets] - (x[targets - 1] if target == "delta" else 0)
    v = np.concatenate([np.ones((len(targets), 1)), *newest, *steps, value], 1)
    found = problem_of(moments, moments, lag, order, target)
    np.testing.assert_allclose(found.train, v.T @ v / len(v), atol=1e-10)


def test_ridge_is_least_squares_without_a_ridge():
    """At ridge 0 the weight is numpy's least-squares solution with an intercept."""
    block = make_block(first_order(0.6, 3), 3, 4, 1)
    targets = windows.target_rows(block.offsets, 2, 1)
    moments = LaggedMoments(3, 2, np.zeros(3))
    moments.add(block.frames, block.offsets, targets)
    x = block.frames.astype(float)
    design = np.concatenate(
        [np.ones((len(targets), 1)), x[targets - 1], x[targets - 1] - x[targets - 2]], 1
    )
    expected = np.linalg.lstsq(design, x[targets] - x[targets - 1], rcond=None)[0][1:]
    weight = ridge_weight(problem_of(moments, moments, 1, 2, "delta"), 0.0)
    np.testing.assert_allclose(weight, expected, atol=1e-9)


@pytest.mark.parametrize("event", ["delta", "position"])
@pytest.mark.parametrize("lag", [1, 2])
def test_closed_form_val_score_is_the_evaluated_one(lag: int, event: str):
    """Every null's val NLL from moments equals its score through the density, frame by frame."""
    world = make_world(first_order(0.7, 4), num_train_speakers=3)
    data = world.material.data("val", lag)
    for null in linear_nulls_for(world.material.linear_nulls, lag, event):
        with torch.no_grad():
            score = DensityTask(build_gaussian(null.fit.arrays), data, data, CPU).validate()
        assert score == pytest.approx(null.fit.choice_nll, abs=1e-3), null.name


def test_position_marginal_scores_delta_at_lag_one_only():
    """At lag 1 delta_t and x_t are one event; at lag 2 a position null is no null of delta."""
    world = make_world(white_noise(3), num_train_speakers=2)
    names = {
        lag: {r.name for r in linear_nulls_for(world.material.linear_nulls, lag, "delta")}
        for lag in (1, 2)
    }
    assert "gaussian_marginal_position" in names[1]
    assert "gaussian_marginal_position" not in names[2]
    batch = world.material.data("val", 2).batch(torch.arange(2), CPU)
    with pytest.raises(ValueError, match="lag 1 only"):
        event_offset(batch, "position", "delta", 2)


def test_white_noise_prefers_its_marginal():
    """On white noise the base of a head is as good as the position marginal: nothing is learnt."""
    world = make_world(white_noise(6), num_train_speakers=8)
    base = base_for(world.material.linear_nulls, 1, "delta", True, True)
    data = world.eval_data(1)
    scores = []
    for arrays in (
        base.fit.arrays,
        base_for(world.material.linear_nulls, 1, "position", False, True).fit.arrays,
    ):
        with torch.no_grad():
            scores.append(DensityTask(build_gaussian(arrays), data, data, CPU).validate())
    assert scores[0] - scores[1] < 0.02


def test_base_whitens_and_restores():
    """Unwhiten inverts whiten, and log_det is the log determinant of the map."""
    world = make_world(first_order(0.5, 4), num_train_speakers=2)
    base = LinearBase(base_for(world.material.linear_nulls, 1, "delta", True, True).fit.arrays)
    residual = torch.randn(5, 4)
    torch.testing.assert_close(base.unwhiten(base.whiten(residual)), residual, atol=1e-5, rtol=1e-5)
    expected = torch.linalg.slogdet(base.inverse_scale)[1]
    assert base.log_det == pytest.approx(float(expected), abs=1e-5)
