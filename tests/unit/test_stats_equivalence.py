"""TOST equals two one-sided t tests and never claims equality from a wide interval."""

import numpy as np
import pytest
from scipy import stats

from engram_audio.stats.equivalence import two_one_sided_tests
from engram_audio.stats.estimate import t_interval, uncertain
from engram_audio.stats.ratio import ratio_of_sums


def test_p_value_is_the_larger_of_two_one_sided_t_tests():
    sample = np.random.default_rng(0).normal(1.005, 0.05, size=40)
    found = two_one_sided_tests(uncertain(ratio_of_sums(sample, np.ones(40))), 1.0, 0.02)
    sides = ((0.98, "greater"), (1.02, "less"))
    expected = [stats.ttest_1samp(sample, edge, alternative=side)[1] for edge, side in sides]
    assert found.p_value == pytest.approx(np.max(expected))


@pytest.mark.parametrize("spread", [0.01, 0.05, 0.2])
def test_passing_is_the_same_as_the_shorter_interval_inside_the_margin(spread: float):
    for seed in range(20):
        sample = np.random.default_rng(seed).normal(1.0, spread, size=25)
        quantity = uncertain(ratio_of_sums(sample, np.ones(25)))
        interval = t_interval(quantity, 0.90)
        inside = interval.low > 0.98 and interval.high < 1.02
        assert (two_one_sided_tests(quantity, 1.0, 0.02).p_value < 0.05) == inside


def test_a_value_far_outside_is_found_outside():
    sample = np.random.default_rng(1).normal(1.1, 0.02, size=30)
    found = two_one_sided_tests(uncertain(ratio_of_sums(sample, np.ones(30))), 1.0, 0.02)
    assert found.p_outside < 1e-6 < 0.5 < found.p_value


def test_a_margin_must_be_positive():
    with pytest.raises(ValueError, match="margin"):
        two_one_sided_tests(uncertain(ratio_of_sums(np.ones(3), np.ones(3))), 1.0, 0.0)
