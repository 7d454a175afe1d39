"""The ground floor: fronts, slices and moments against their definitions."""

import numpy as np
import pytest

from engram_audio.numerics.moments import Moments
from engram_audio.numerics.pareto import beaten
from engram_audio.numerics.slices import slice_masks, speech_levels, speech_mask

SLICES = ("all", "initial", "medial", "final", "speech")


def test_beaten_is_what_another_point_of_the_group_beats():
    """No worse in every cost and better in one; equal points do not beat each other."""
    rng = np.random.default_rng(0)
    costs = rng.integers(0, 4, (40, 3)).astype(float)
    groups = rng.integers(0, 3, 40)

    def beats(one: int, other: int) -> bool:
        pair = costs[one], costs[other]
        return bool(
            groups[one] == groups[other]
            and (pair[0] <= pair[1]).all()
            and (pair[0] < pair[1]).any()
        )

    expected = [any(beats(one, other) for one in range(40)) for other in range(40)]
    assert 0 < sum(expected) < 40
    assert beaten(costs, groups).tolist() == expected


def test_a_point_that_lacks_a_cost_beats_nothing_and_is_not_beaten():
    """A table says itself what an unknown point is: on no front, or nothing known."""
    costs = np.array([[0.0, np.nan], [1.0, 1.0], [2.0, 2.0]])
    assert beaten(costs).tolist() == [False, False, True]
    assert beaten(np.empty((0, 2))).tolist() == []


@pytest.mark.parametrize("medial_range", [(0.2, 0.8), (0.0, 1.0)])
def test_positions_share_out_the_targets(medial_range: tuple[float, float]):
    """A target is initial, medial or final, by (t + 1/2) / T of its own utterance."""
    offsets = np.array([0, 10, 14])
    targets = np.array([0, 1, 2, 7, 8, 9, 10, 13])
    is_speech = targets > 7
    masks = slice_masks(offsets, targets, SLICES, medial_range, is_speech)
    everything, initial, medial, final, speech = masks
    assert everything.all()
    assert ((initial.astype(int) + medial + final) == 1).all()
    assert np.array_equal(speech, is_speech)
    fraction = np.array([0.05, 0.15, 0.25, 0.75, 0.85, 0.95, 0.125, 0.875])
    assert np.array_equal(medial, (fraction >= medial_range[0]) & (fraction < medial_range[1]))


def test_masks_come_in_the_order_of_the_names():
    """The rows of a table of sums are named by this order."""
    arguments = np.array([0, 4]), np.arange(4), ["final", "all"], (0.25, 0.75)
    one = slice_masks(*arguments, np.zeros(4, dtype=bool))
    assert one.tolist() == [[False, False, False, True], [True] * 4]


@pytest.mark.parametrize("cuts", [[], [1], [100, 101, 350]])
@pytest.mark.parametrize("shift", [0.0, 1000.0])
def test_moments_are_those_of_all_rows(cuts: list[int], shift: float):
    """However the rows are cut, and whatever the shift: the mean and the covariance of numpy."""
    rows = 1000.0 + np.random.default_rng(0).standard_normal((400, 3)) @ np.diag([1.0, 2.0, 0.1])
    moments = Moments(np.full(3, shift))
    parts = [moments.add(part) for part in np.split(rows, cuts)]
    assert np.array_equal(np.concatenate(parts), rows - shift)
    assert moments.count == 400
    assert moments.mean == pytest.approx(rows.mean(0), rel=1e-12)
    tolerance = 1e-12 if shift else 1e-6  # without a shift the products cancel
    assert moments.covariance() == pytest.approx(np.cov(rows.T, bias=True), abs=tolerance)


def test_speech_is_a_loud_newest_frame_of_the_context():
    """Never the target's own energy, which nobody knows beforehand; 20 dB are a tenth."""
    levels = speech_levels({"a": 2.0, "b": 1.0}, np.array(["a", "b"]), 20.0)
    assert levels == pytest.approx([0.2, 0.1])
    energy = np.array([1.0, 0.0, 1.0, 0.0, 0.15, 0.15])
    offsets, targets = np.array([0, 4, 6]), np.array([2, 3, 5])
    found = speech_mask(offsets, energy, targets, 2, levels)
    assert found.tolist() == [True, False, False]
    assert speech_mask(offsets, energy, targets, 1, levels).tolist() == [False, True, True]
