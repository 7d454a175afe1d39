"""Exact predictors: densities integrate to one, means and samples belong to them."""

import numpy as np
import pytest

from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.oracle import speaker_tasks
from engram_audio.calibration.predictive import (
    GaussianPredictive,
    MixturePredictive,
    RotatedPredictive,
)
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.world import World, simulate
from engram_audio.windows import target_rows
from tests.gaussian_rate import gaussian_rate_nats

ONE_ROTATION = {"num_dims": 2, "radii": (0.8,), "angles_rad": (0.5,)}
# with these rates a step never reaches the walls, so the grid sum below is exact
NO_WALLS = {"num_dims": 2, "smallest_rate": 3.6, "largest_rate": 3.65, "num_cells": 200}
ORACLES = {
    "iid": {"num_dims": 2},
    "ar1_r07": {"num_dims": 2},
    "rw_shape": {"num_dims": 2},
    "var1": ONE_ROTATION,
    "ssm": {"num_dims": 2},
    "overlap": {"num_dims": 2},
    "type2": {"num_dims": 2, "num_phases": 4},
    "type1": {"num_dims": 2, "num_phases": 4},
    "offset": {"num_dims": 2, "num_phases": 4},
    "drift": {"num_dims": 2, "num_phases": 4},
    "bimodal": {"num_dims": 2, "num_phases": 4},
    "dir": {"num_dims": 2, "num_phases": 4},
    "mag": {"num_dims": 2, "num_phases": 4},
    "spikes": {
        "num_dims": 2,
        "radii": (0.8,),
        "angles_rad": (0.5,),
        "probability": 0.1,
        "scale": 4,
    },
    "table": {"num_dims": 2, "num_symbols": 16},
    "table_second_order": {"num_dims": 2, "num_symbols": 16},
    "logistic": NO_WALLS,
    "logistic_rotated": NO_WALLS,
    "ring": {"num_dims": 2, "num_particles": 64},
    "junk": {"num_dims": 2, "num_predictive_dims": 1, "num_phases": 4},
}
SIZE = WorldSize(1, 1, 2)
GRID_POINTS = 120
POSITION_ONLY = {("table", 3), ("table_second_order", 3)}
NO_POSITION = {"rw_shape", "drift", "bimodal", "dir", "mag"}
CASES = [
    (name, lag, space)
    for name in ORACLES
    for lag in (1, 3)
    for space in ("delta", "position")
    if not (space == "position" and name in NO_POSITION)
    and not (space == "delta" and (name, lag) in POSITION_ONLY)
]


def small_world(name: str) -> World:
    return make_world(name, 0, **ORACLES[name])


@pytest.mark.parametrize(("name", "lag", "space"), CASES)
def test_density_mean_and_samples_are_one_law(name, lag, space):
    """On a grid of the plane the density integrates to 1 and has the mean that the oracle says.

    A sum over a grid of step h integrates a Gaussian of standard deviation s up to a relative error
    of 2 exp(-2 pi^2 s^2 / h^2); here h <= s. Samples agree with the mean within 6 of their standard
    errors.
    """
    world = small_world(name)
    oracle = world.oracle()
    assert oracle is not None
    block = simulate(world, SIZE).block
    row = target_rows(block.offsets, 4, 4)[5:6]
    samples = oracle.sample(block, row, lag, np.random.default_rng(0), 4000, space)[:, 0]
    mean = oracle.mean(block, row, lag, space)[0]
    error = samples.std(axis=0) / np.sqrt(len(samples))
    assert (np.abs(samples.mean(axis=0) - mean) < 6 * error + 1e-4).all()
    low, high = samples.min(axis=0), samples.max(axis=0)
    margin = 0.25 * (high - low)
    axes = [
        np.linspace(first - more, last + more, GRID_POINTS)
        for first, last, more in zip(low, high, margin, strict=True)
    ]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 2)
    density = np.exp(log_density_at(oracle, block, row, lag, space, grid))
    cell = np.prod([axis[1] - axis[0] for axis in axes])
    tolerance = 3e-3
    assert density.sum() * cell == pytest.approx(1, abs=tolerance)
    centre = (grid * density[:, None]).sum(axis=0) * cell
    assert np.abs(centre - mean).max() < tolerance * (1 + np.abs(mean).max()) * 2


def log_density_at(oracle, block, row, lag, space, values):
    """Return log densities of many values of one target: the block repeats its utterance."""
    task = next(speaker_tasks(block, row, lag, space))
    law = oracle.predict(task._replace(targets=np.repeat(task.targets, len(values))))
    return law.log_density(values)


@pytest.mark.parametrize("name", [n for n in ORACLES if n != "ring"])
def test_the_future_is_never_used(name):
    """Changing frames after t - lag moves no conditional mean (position target)."""
    world = small_world(name)
    oracle = world.oracle()
    assert oracle is not None
    block = simulate(world, SIZE).block
    rows = target_rows(block.offsets, 4, 4)[5:6]
    space = "delta" if name in NO_POSITION else "position"
    lag = 2
    before = oracle.mean(block, rows, lag, space)
    changed = block.frames.copy()
    changed[rows[0] - lag + 1 :] = changed[rows[0] - lag + 1 :][::-1]
    assert np.array_equal(before, oracle.mean(block._replace(frames=changed), rows, lag, space))


def test_speakers_are_predicted_as_if_alone():
    """Targets of several speakers get the values that each speaker's block alone gives."""
    world = small_world("type1")
    oracle = world.oracle()
    assert oracle is not None
    draw = simulate(world, WorldSize(2, 1, 2))
    rows = target_rows(draw.block.offsets, 4, 4)
    together = oracle.log_density(draw.block, rows, 2)
    alone = draw.of_split("eval")
    own = oracle.log_density(alone, target_rows(alone.offsets, 4, 4), 2)
    assert np.array_equal(together[-len(own) :], own)


def test_a_target_without_a_context_is_refused():
    """A lag that reaches before the utterance is an error, not a neighbour's frame."""
    world = small_world("iid")
    oracle = world.oracle()
    assert oracle is not None
    block = simulate(world, SIZE).block
    with pytest.raises(ValueError, match="fewer than 3 frames"):
        oracle.log_density(block, np.array([2]), 3)


def test_kalman_oracle_is_the_direct_gaussian_conditional():
    """The filter equals conditioning the joint Gaussian of a whole utterance, at lags 1 and 3."""
    world = make_world("ssm", 0, num_dims=3)
    model = world.model  # pyright: ignore[reportAttributeAccessIssue]
    block = simulate(world, WorldSize(1, 0, 1)).block
    frames, num_dims, target = block.frames.astype(np.float64), 3, 12
    stationary = model.stationary()
    joint = np.zeros((13 * num_dims, 13 * num_dims))
    for i in range(13):
        for j in range(13):
            power = np.linalg.matrix_power(model.transition, abs(i - j))
            state = power @ stationary if i >= j else stationary @ power.T
            part = model.output @ state @ model.output.T + (model.noise if i == j else 0)
            joint[3 * i : 3 * i + 3, 3 * j : 3 * j + 3] = part
    oracle = world.oracle()
    assert oracle is not None
    for lag in (1, 3):
        past = slice(0, 3 * (target - lag + 1))
        cross = joint[3 * target : 3 * target + 3, past]
        known = frames[: target - lag + 1].ravel()
        expected = cross @ np.linalg.solve(joint[past, past], known)
        found = oracle.mean(block, np.array([target]), lag, "position")[0]
        assert np.allclose(found, expected, atol=1e-9)


def test_mixture_and_gaussian_agree_where_they_are_the_same():
    """One isotropic component is a Gaussian; a rotation of an isotropic law changes nothing."""
    generator = np.random.default_rng(0)
    mean, values = generator.normal(size=(5, 3)), generator.normal(size=(5, 3))
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    mixture = MixturePredictive(np.ones((5, 1)), np.zeros((1, 3)), np.array([0.7]), mean)
    gaussian = GaussianPredictive(mean, 0.49 * np.eye(3)[None], np.zeros(5, dtype=int))
    assert np.allclose(mixture.log_density(values), gaussian.log_density(values))
    turned = RotatedPredictive(gaussian, rotation)
    assert np.allclose(turned.log_density(values @ rotation), gaussian.log_density(values))


def test_two_logistic_steps_on_the_grid_equal_particles():
    """The grid's density two steps ahead is the average over simulated states in between.

    Tolerance: 5 standard errors of log means over 20,000 particles, from their spread.
    """
    world = make_world("logistic", 0, num_dims=1, smallest_rate=3.8)
    oracle = world.oracle()
    assert oracle is not None
    block = simulate(world, WorldSize(0, 1, 1)).block
    rows = target_rows(block.offsets, 8, 8)
    found = oracle.log_density(block, rows, 2)
    start = np.tile(block.frames[rows - 2].astype(np.float64), (1, 20_000))[..., None]
    between = world.step(start, np.random.default_rng(0))[..., 0]  # pyright: ignore
    delta = (block.frames[rows] - block.frames[rows - 1]).astype(np.float64)
    density = world.kernel(0, between, between + delta)  # pyright: ignore
    error = density.std(axis=1) / density.mean(axis=1) / np.sqrt(density.shape[1])
    assert (np.abs(found - np.log(density.mean(axis=1))) < 5 * error + 1e-3).all()


def test_logistic_steps_are_reflected_at_the_walls():
    """One step's density integrates to 1 inside [0, 1], from every start, and is 0 outside.

    Midpoint rule, 800 cells of 1/16 standard deviation, reflection makes the edges smooth: error
    below 1e-6.
    """
    world = make_world("logistic", 0)
    kernel = world.kernel  # pyright: ignore[reportAttributeAccessIssue]
    cells = (np.arange(800) + 0.5) / 800
    mass = kernel(7, np.linspace(0, 1, 21)[:, None], cells).mean(axis=1)
    assert np.abs(mass - 1).max() < 1e-6
    assert kernel(7, np.array([0.5]), np.array([-0.01, 1.01])).tolist() == [0.0, 0.0]


def test_water_filling_reaches_its_distortion():
    """Rate is 0 where distortion is free, and 1/2 ln det ratio where every dimension is coded."""
    covariance = np.diag([4.0, 1.0])
    assert gaussian_rate_nats(covariance, 5.0) == 0
    assert gaussian_rate_nats(covariance, 2.0) == pytest.approx(0.5 * np.log(4))
    assert gaussian_rate_nats(covariance, 0.2) == pytest.approx(0.5 * np.log(4 / 0.01))
