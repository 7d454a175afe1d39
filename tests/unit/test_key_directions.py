"""Directions of the step, given the state: planted directions, and the nulls beside them."""

import numpy as np
import pytest

from engram_audio.keys.direction_tables import DirectionRun, directions_table
from engram_audio.keys.directions import (
    direction_scores,
    fit_directions,
    nearest_direction,
    score_directions,
    unit_steps,
)
from engram_audio.latents.block import LatentBlock
from tests.unit.law_material import PARTS, targets_of


def test_planted_directions_are_found():
    """Two directions in each of three states, with little noise: the angle is that noise's."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((3, 2, 5))
    truth /= np.linalg.norm(truth, axis=2, keepdims=True)
    codes, side = rng.integers(3, size=3000), rng.integers(2, size=3000)
    steps = unit_steps(truth[codes, side] + 0.02 * rng.standard_normal((3000, 5)))
    centres = fit_directions(steps.units, codes, 3, 2, rng)
    _, cosine = nearest_direction(steps.units, codes, centres)
    expected = np.degrees(0.02 * np.sqrt(4) * 0.94)  # mean of a chi of 4 over its root mean square
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean() == pytest.approx(expected, rel=0.1)
    for state in range(3):
        assert np.abs(centres[state] @ truth[state].T).max(1) == pytest.approx([1, 1], abs=1e-3)


def test_a_state_that_tells_the_direction_tells_its_entropy():
    """Four states with a direction each: ln 4 nats; codes of other frames tell 0."""
    rng = np.random.default_rng(1)
    codes = rng.integers(4, size=4000)
    corners = np.array([[1.0, 0], [0, 1], [-1, 0], [0, -1]])
    steps = unit_steps(corners[codes] + 0.1 * rng.standard_normal((4000, 2)))
    is_train = np.arange(4000) < 2000
    own = score_directions(steps, codes, 4, 4, is_train, 0).nats[2000:].mean()
    assert own == pytest.approx(np.log(4), abs=0.05)
    mixed = rng.permutation(codes)
    assert abs(score_directions(steps, mixed, 4, 4, is_train, 0).nats[2000:].mean()) < 0.02


def noise_world():
    """White noise: all that a step tells is where it came from."""
    rng = np.random.default_rng(2)
    count, length = 4, 150
    names = [f"s{s}-u{u}" for s in range(len(PARTS)) for u in range(count)]
    frames = rng.standard_normal((len(names) * length, 2)).astype(np.float32)
    block = LatentBlock(
        frames, np.ones(len(frames), np.float32), np.arange(0, len(frames) + 1, length),
        np.array(names, object), np.array([name[:2] for name in names], object),
    )  # fmt: skip
    return targets_of(block, {name: PARTS[int(name[1])] for name in names})


def test_mean_reversion_alone_gives_directions():
    """White noise at lag 1: the state tells the direction, and exactly as much as the null does."""
    targets = noise_world()
    newest = targets.block.frames[targets.rows - 1]
    codes = (newest > 0) @ np.array([1, 2])
    sums = direction_scores(targets, "pca.raw.kmeans_4", codes, 4, 8, 0)
    run = DirectionRun("noise", 0, 1, sums)
    table = directions_table([run], 0.95).set_index("case")
    own = table.loc["observed"]
    assert own["num_frames"] == len(targets.of_part("eval"))
    assert own["nats"] > 0.1
    assert abs(own["over_reversion_nats"]) < 0.05
    for null in ("shuffled_codes", "uniform", "all_frames"):
        assert abs(table.loc[null, "nats"]) < 0.02
    assert table.loc["observed", "angle_deg"] < table.loc["shuffled_codes", "angle_deg"]
    assert table.loc["mean_reversion", "angle_deg"] == pytest.approx(own["angle_deg"], rel=0.1)


def test_a_frame_that_stands_still_has_no_direction():
    """It is left out of the means, and makes no NaN."""
    steps = unit_steps(np.array([[0.0, 0.0], [3.0, 4.0]]))
    assert steps.is_step.tolist() == [False, True]
    assert np.isfinite(steps.units).all()
    assert steps.units[1] == pytest.approx([0.6, 0.8])
