"""Estimates and intervals agree with textbook tests where those apply."""

import numpy as np
import pytest
from scipy import stats

from engram_audio.stats.estimate import (
    Uncertain,
    fieller_quotient,
    function_of,
    linear_combination,
    paired_difference,
    t_interval,
    uncertain,
)
from engram_audio.stats.ratio import complement, quotient, ratio_of_sums, scaled

RNG = np.random.default_rng(0)


def test_mean_of_equal_speakers_has_the_t_interval_of_scipy():
    sample = RNG.normal(1.0, 2.0, size=23)
    interval = t_interval(uncertain(ratio_of_sums(sample, np.ones(23))), 0.95)
    expected = stats.ttest_1samp(sample, 0.0).confidence_interval(0.95)
    assert interval.low == pytest.approx(expected.low)
    assert interval.high == pytest.approx(expected.high)


def test_paired_difference_has_the_interval_of_the_paired_t_test():
    first, second = RNG.normal(size=(2, 17))
    ones = np.ones(17)
    difference = paired_difference(ratio_of_sums(first, ones), ratio_of_sums(second, ones))
    expected = stats.ttest_rel(first, second).confidence_interval(0.9)
    assert t_interval(uncertain(difference), 0.9) == pytest.approx((expected.low, expected.high))


def test_independent_difference_has_the_interval_of_welch():
    first, second = RNG.normal(size=11), RNG.normal(0.0, 3.0, size=31)
    pair = (uncertain(ratio_of_sums(x, np.ones(len(x)))) for x in (first, second))
    difference = linear_combination(next(pair), next(pair), -1.0)
    expected = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    assert t_interval(difference, 0.95) == pytest.approx((expected.low, expected.high))


def test_influence_is_the_derivative_in_each_speakers_weight():
    numerator, denominator = RNG.uniform(1, 2, size=(2, 4, 9))
    estimate = ratio_of_sums(numerator, denominator)
    step = 1e-6
    for speaker in range(9):
        weight = np.ones(9)
        weight[speaker] += step
        moved = (weight * numerator).sum(-1) / (weight * denominator).sum(-1)
        # forward difference: error of order step times the second derivative (below 1 here)
        np.testing.assert_allclose(
            estimate.influence[:, speaker], (moved - estimate.value) / step, atol=10 * step
        )
    np.testing.assert_allclose(estimate.influence.sum(-1), 0.0, atol=1e-12)


def test_chain_rule_of_a_quotient_is_the_derivative():
    sums = RNG.uniform(1, 2, size=(3, 9))
    combined = quotient(
        complement(ratio_of_sums(sums[0], sums[1])), scaled(ratio_of_sums(sums[2], sums[1]), 3.0)
    )

    def value(weight: np.ndarray) -> float:
        total = (weight * sums).sum(-1)
        return (1 - total[0] / total[1]) / (3 * total[2] / total[1])

    step = 1e-6
    moved = np.array([value(1 + step * (np.arange(9) == speaker)) for speaker in range(9)])
    assert combined.value == pytest.approx(value(np.ones(9)))
    np.testing.assert_allclose(combined.influence, (moved - combined.value) / step, atol=10 * step)


def test_speakers_without_data_do_not_count():
    numerator, denominator = RNG.uniform(1, 2, size=(2, 6))
    padded = [np.append(row, [0.0, 0.0]) for row in (numerator, denominator)]
    alone, with_empty = ratio_of_sums(numerator, denominator), ratio_of_sums(*padded)
    np.testing.assert_allclose(uncertain(alone), uncertain(with_empty))


def test_one_speaker_has_no_interval_and_no_data_no_value():
    one = uncertain(ratio_of_sums(np.array([1.0]), np.array([2.0])))
    assert one.value == 0.5 and np.isnan(one.se) and np.isnan(one.df)
    assert np.isnan(ratio_of_sums(np.zeros(3), np.zeros(3)).value)


def test_fieller_bounds_are_exactly_the_quotients_that_the_test_does_not_refute():
    top, bottom = (
        Uncertain(*map(np.asarray, (0.8, 0.1, 20.0))),
        Uncertain(*map(np.asarray, (1.0, 0.05, 20.0))),
    )
    low, high = fieller_quotient(top, bottom, 0.95)
    quotient_value = top.value / bottom.value
    variances = top.se**2, (quotient_value * bottom.se) ** 2
    df = sum(variances) ** 2 / (variances[0] ** 2 / top.df + variances[1] ** 2 / bottom.df)
    for bound in (low, high):
        gap = top.value - bound * bottom.value
        error = np.sqrt(top.se**2 + (bound * bottom.se) ** 2)
        assert abs(gap) / error == pytest.approx(stats.t.ppf(0.975, df))


def test_fieller_gives_no_interval_when_the_denominator_may_be_zero():
    small = Uncertain(*map(np.asarray, (0.1, 0.1, 20.0)))
    assert np.isnan(fieller_quotient(small, small, 0.95)).all()


def test_function_of_keeps_cells_apart():
    numerator, denominator = RNG.uniform(1, 2, size=(2, 5, 7))
    table = ratio_of_sums(numerator, denominator)
    doubled = function_of(2 * table.value, [(np.full(5, 2.0), table)])
    np.testing.assert_allclose(uncertain(doubled).se, 2 * uncertain(table).se)
