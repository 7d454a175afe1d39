"""A comparison with the truth passes within its tolerance and only there."""

import math

import numpy as np
import pandas as pd
import pytest

from engram_audio.calibration.published import Published, has_frames, inflation
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.rows import compare
from engram_audio.calibration.truth import Truth

TRUTH = Truth("information_nats", 2, 1.0, 0.03)


@pytest.mark.parametrize(
    ("measured", "passes"), [(1.0, True), (1.149, True), (1.151, False), (0.849, False)]
)
def test_three_combined_standard_errors(measured, passes):
    """Errors 0.03 and 0.04 combine to 0.05: the tolerance is 0.15 on both sides."""
    assert compare("drift", "prediction", TRUTH, measured, 0.04).passes is passes


def test_a_stated_loss_widens_one_side_only():
    """A head may find less than there is, never more."""
    low = compare("drift", "prediction", TRUTH, 0.8, 0.04, loss_below=0.1)
    high = compare("drift", "prediction", TRUTH, 1.2, 0.04, loss_below=0.1)
    assert low.passes and not high.passes
    assert low.tolerance_below == pytest.approx(0.25)
    assert low.tolerance_above == pytest.approx(0.15)


@pytest.mark.parametrize("measured", [math.nan, math.inf, -math.inf])
def test_no_number_is_no_pass(measured):
    """A value that is not finite fails, whatever its error."""
    assert not compare("drift", "prediction", TRUTH, measured, 0.04).passes
    assert not compare("drift", "prediction", TRUTH, 1.0, math.nan).passes


def test_the_resolution_bounds_the_tolerance_from_below():
    """A quantity that is exact by construction has no scatter; it is asked to 0.002, no closer."""
    exact = Truth("variance_ratio", 1, 1.0, 0.0)
    near = compare("iid", "injected oracle", exact, 0.9985, 1e-7, resolution=0.002)
    far = compare("iid", "injected oracle", exact, 0.9975, 1e-7, resolution=0.002)
    assert near.passes and not far.passes
    assert compare("drift", "prediction", TRUTH, 1.149, 0.04, resolution=0.002).passes


def test_a_useless_cell_costs_more_beside_many_weights():
    """P = 160 weights of N = 400 frames: a cell more costs N / (N - P) times its correction.

    White noise, fitted by least squares. The law is the derivative in P, so E cells at once are off
    by a share of about E / (N - P). Without it the correction would be off by two thirds.
    """
    generator = np.random.default_rng(0)
    num_frames, num_weights, num_cells = 400, 160, 8
    rise, correction = [], []
    for _ in range(40):
        context, target = generator.standard_normal((2, 2 * num_frames, num_weights))
        cells = np.eye(num_cells)[generator.integers(num_cells, size=2 * num_frames)]
        errors = []
        for design in (context, np.hstack([context, cells])):
            slope = np.linalg.lstsq(design[:num_frames], target[:num_frames], rcond=None)[0]
            errors.append(((target - design @ slope)[num_frames:] ** 2).mean())
        rise.append(errors[1] - errors[0])
        correction.append(errors[0] * num_cells / (num_frames + num_cells))
    ratio = np.mean(rise) / np.mean(correction)
    error = np.std(rise, ddof=1) / len(rise) ** 0.5 / np.mean(correction)
    row, table = {"num_train_frames": float(num_frames)}, pd.DataFrame()
    world = make_world("iid", 0, num_dims=num_weights)
    expected = inflation(row, world, Published(table, table, (), 1, window_frames=1))
    assert abs(ratio / expected - 1) < 2 * num_cells / (num_frames - num_weights) + 3 * error
    assert ratio > 1 + 3 * error


@pytest.mark.parametrize(("num_frames", "is_compared"), [(239.0, False), (241.0, True)])
def test_no_row_is_compared_where_weights_nearly_reach_the_frames(num_frames, is_compared):
    """160 weights of 240 frames: a useless cell costs three times its correction."""
    row, table = {"num_train_frames": num_frames}, pd.DataFrame()
    published = Published(table, table, (), 1, window_frames=1)
    assert has_frames(row, make_world("iid", 0, num_dims=160), published) is is_compared
