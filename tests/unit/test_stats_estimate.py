"""Estimates and intervals follow their laws: jackknife, Fieller, Satterthwaite, two-way."""

import numpy as np
import pytest
from scipy import stats

from engram_audio.stats.estimate import (
    Uncertain,
    deleted,
    effective_number,
    fieller_quotient,
    function_of,
    linear_combination,
    mean_of,
    paired_difference,
    paired_quotient,
    satterthwaite_df,
    smallest_shown,
    t_interval,
    uncertain,
)
from engram_audio.stats.ratio import complement, quotient, ratio_of_sums, scaled
from engram_audio.stats.two_way import two_way

RNG = np.random.default_rng(0)


def test_equal_speakers_have_the_jackknife_error_of_a_mean():
    """Leaving one out moves the mean by (x - mean) / (S - 1), and these are squared and summed."""
    sample = RNG.normal(1.0, 2.0, size=23)
    quantity = uncertain(ratio_of_sums(sample, np.ones(23)))
    without = np.array([np.delete(sample, place).mean() for place in range(23)])
    assert quantity.se == pytest.approx(np.sqrt(((without - sample.mean()) ** 2).sum()))
    assert quantity.se == pytest.approx(sample.std(ddof=1) / np.sqrt(22))


def test_unequal_speakers_have_the_jackknife_error_of_a_ratio():
    """What leaving a speaker out takes from the ratio is influence / (1 - h)."""
    top, bottom = RNG.uniform(1, 2, size=(2, 9)) * np.arange(1, 10)
    estimate = ratio_of_sums(top, bottom)
    without = [np.delete(top, place).sum() / np.delete(bottom, place).sum() for place in range(9)]
    np.testing.assert_allclose(deleted(estimate), estimate.value - np.array(without), rtol=1e-9)


def test_the_error_of_a_ratio_is_that_of_scipys_bootstrap():
    """Both estimate one SD at 200 speakers.

    The bootstrap's own error is 1 / sqrt(2 B) = 1.1 %, and the n / (n - 1) of ours .25 %: within
    5 %.
    """
    bottom = RNG.uniform(50, 150, size=200)
    top = bottom * RNG.normal(0.9, 0.1, size=200)
    expected = stats.bootstrap(
        (top, bottom), lambda a, b, axis=-1: a.sum(axis=axis) / b.sum(axis=axis), paired=True,
        n_resamples=4000, method="percentile", rng=np.random.default_rng(4),
    )  # fmt: skip
    assert uncertain(ratio_of_sums(top, bottom)).se == pytest.approx(
        float(expected.standard_error), rel=0.05
    )


def test_degrees_of_freedom_follow_the_contributions():
    """S equal squares: S - 1 at most. One square far above the others: 1."""
    assert satterthwaite_df(np.ones(23), np.array(23)) == 22
    assert satterthwaite_df(np.array([1e6, 1.0, 1.0, 1.0]), np.array(4)) == pytest.approx(
        1, abs=0.01
    )
    contributions = np.random.default_rng(3).normal(size=(20_000, 12)) ** 2
    # sum of 12 squared standard normals: chi^2 with 12 df; the estimate from one sample scatters.
    assert np.median(satterthwaite_df(contributions, np.full(20_000, 99))) == pytest.approx(
        12, abs=3
    )


def test_tiny_contributions_have_the_degrees_of_freedom_of_large_ones():
    squares = RNG.uniform(size=8)
    small = satterthwaite_df(squares * 1e-200, np.array(8))
    assert small == pytest.approx(float(satterthwaite_df(squares, np.array(8))))


def test_a_paired_difference_is_the_estimate_of_the_differences():
    first, second = RNG.normal(size=(2, 17))
    ones = np.ones(17)
    difference = paired_difference(ratio_of_sums(first, ones), ratio_of_sums(second, ones))
    direct = ratio_of_sums(first - second, ones)
    np.testing.assert_allclose(uncertain(difference), uncertain(direct))


def test_the_mean_of_estimates_is_that_of_each_speakers_own_mean():
    """On the same speakers, cell by cell: the seeds of a model are averaged before all else."""
    seeds = RNG.normal(size=(3, 2, 17))
    found = mean_of([ratio_of_sums(own, np.ones(17)) for own in seeds])
    direct = uncertain(ratio_of_sums(seeds.mean(axis=0), np.ones(17)))
    np.testing.assert_allclose(uncertain(found), direct)


def test_effective_number_of_speakers():
    assert effective_number(np.ones(12)) == 12
    assert effective_number(np.array([0.5, 0.25, 0.25])) == pytest.approx(1 / 0.375)
    assert effective_number(np.zeros(3)) == 0


def test_smallest_shown_is_passed_with_its_power():
    """A normal estimate about it has its lower bound above the threshold in 80 %."""
    quantity = Uncertain(*map(np.asarray, (0.0, 0.02, 1e6)))
    truth = float(smallest_shown(0.05, quantity, 0.95, 0.8))
    assert truth == pytest.approx(0.05 + (1.959964 + 0.841621) * 0.02, abs=1e-5)
    values = truth + 0.02 * np.random.default_rng(0).normal(size=100_000)
    shown = (values - 1.959964 * 0.02 > 0.05).mean()
    assert shown == pytest.approx(0.8, abs=0.01)


def test_a_paired_quotient_holds_exactly_what_the_paired_test_does_not_refute():
    top, bottom = RNG.normal(1.0, 0.3, size=15), RNG.normal(2.0, 0.3, size=15)
    numerator, denominator = (ratio_of_sums(values, np.ones(15)) for values in (top, bottom))
    low, high = paired_quotient(numerator, denominator, 0.95)
    own = numerator.value / denominator.value
    df = float(uncertain(ratio_of_sums(top - own * bottom, np.ones(15))).df)
    for bound in (low, high):
        gap = uncertain(ratio_of_sums(top - bound * bottom, np.ones(15)))
        assert abs(gap.value) / gap.se == pytest.approx(stats.t.ppf(0.975, df))


def test_two_way_of_equal_speakers_is_the_textbook_table():
    gains = RNG.normal(size=(4, 9)) + RNG.normal(size=(4, 1)) + RNG.normal(size=(1, 9))
    quantity = two_way(ratio_of_sums(gains, np.ones((4, 9))))
    mean, rows, columns = gains.mean(), gains.mean(1), gains.mean(0)
    seed = 9 * ((rows - mean) ** 2).sum() / 3
    speaker = 4 * ((columns - mean) ** 2).sum() / 8
    rest = ((gains - rows[:, None] - columns + mean) ** 2).sum() / 24
    total = seed + speaker - rest
    df = total**2 / (seed**2 / 3 + speaker**2 / 8 + rest**2 / 24)
    assert quantity.value == pytest.approx(mean)
    assert quantity.se == pytest.approx(np.sqrt(total / 36))
    assert quantity.df == pytest.approx(max(df, 1))


def test_two_way_falls_back_on_seeds_where_the_rest_is_largest():
    """Speakers and seeds that cancel: MS_seed + MS_speaker - MS_rest is below 0."""
    gains = np.array([[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.1, 0.0, 0.0]])
    quantity = two_way(ratio_of_sums(gains, np.ones((3, 3))))
    assert quantity.df == 2
    assert quantity.se == pytest.approx(gains.mean(1).std(ddof=1) / np.sqrt(3))


def test_two_way_needs_three_seeds():
    with pytest.raises(ValueError, match="needs 3"):
        two_way(ratio_of_sums(np.ones((2, 4)), np.ones((2, 4))))


def test_independent_speakers_add_their_variances():
    first, second = RNG.normal(size=11), RNG.normal(0.0, 3.0, size=31)
    pair = [uncertain(ratio_of_sums(x, np.ones(len(x)))) for x in (first, second)]
    difference = linear_combination(pair[0], pair[1], -1.0)
    variances = [float(one.se) ** 2 for one in pair]
    df = sum(variances) ** 2 / sum(
        variance**2 / one.df for variance, one in zip(variances, pair, strict=True)
    )
    assert difference.value == pytest.approx(first.mean() - second.mean())
    assert difference.se == pytest.approx(np.sqrt(sum(variances)))
    assert difference.df == pytest.approx(df)


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
    assert low < top.value / bottom.value < high
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


def test_a_two_sided_interval_leaves_half_of_the_rest_on_each_side():
    """t(7) at 95 % two-sided is 2.3646, at 95 % one-sided 1.8946."""
    quantity = Uncertain(np.array(1.0), np.array(2.0), np.array(7.0))
    low, high = t_interval(quantity, 0.95)
    assert float(high) == pytest.approx(1 + 2 * 2.3646243, abs=1e-6)
    assert float(low) == pytest.approx(1 - 2 * 2.3646243, abs=1e-6)
