"""Weighted resampling equals resampling; it agrees with scipy where scipy applies."""

import numpy as np
import pytest
from scipy import stats

from engram_audio.stats.bootstrap import (
    percentile_interval,
    resampled_ratios,
    speaker_weights,
)
from engram_audio.stats.estimate import uncertain
from engram_audio.stats.ratio import ratio_of_sums


def _sample(size: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    denominator = rng.uniform(50, 150, size=size)
    return denominator * rng.normal(0.9, 0.1, size=size), denominator


def test_weights_resample_as_many_speakers_as_there_are():
    weights = speaker_weights(12, 50, np.random.default_rng(1))
    assert weights.shape == (50, 12)
    np.testing.assert_array_equal(weights.sum(axis=1), 12)


def test_weighted_ratio_is_the_ratio_of_the_resampled_speakers():
    numerator, denominator = _sample(8)
    weights = speaker_weights(8, 20, np.random.default_rng(2))
    ratios = resampled_ratios(weights, numerator, denominator)
    for draw, ratio in zip(weights, ratios, strict=True):
        rows = np.repeat(np.arange(8), draw.astype(int))
        assert ratio == pytest.approx(numerator[rows].sum() / denominator[rows].sum())


def test_percentile_interval_agrees_with_scipy():
    """Both are Monte Carlo: a quantile of B draws has the SD sqrt(p q / B) / density.

    With B = 20000, p = .025 and a normal density of .058 / SD there, that is .019 SD for each of
    the two; their difference stays within 4 * sqrt(2) * .019 = .11 SD.
    """
    numerator, denominator = _sample(30)
    weights = speaker_weights(30, 20_000, np.random.default_rng(3))
    draws = resampled_ratios(weights, numerator, denominator)
    expected = stats.bootstrap(
        (numerator, denominator),
        lambda a, b, axis=-1: a.sum(axis=axis) / b.sum(axis=axis),
        n_resamples=20_000,
        paired=True,
        method="percentile",
        rng=np.random.default_rng(4),
    )
    found = percentile_interval(draws, 0.95)
    tolerance = 0.11 * float(expected.standard_error)
    assert found.low == pytest.approx(expected.confidence_interval.low, abs=tolerance)
    assert found.high == pytest.approx(expected.confidence_interval.high, abs=tolerance)


def test_linearised_and_bootstrap_errors_agree():
    """Both estimate one SD at 200 speakers.

    The bootstrap's own error is 1 / sqrt(2 B) = 1.1 %, and the n / (n - 1) of the linearised one
    0.25 %: within 5 %.
    """
    numerator, denominator = _sample(200)
    weights = speaker_weights(200, 4000, np.random.default_rng(6))
    spread = resampled_ratios(weights, numerator, denominator).std()
    assert uncertain(ratio_of_sums(numerator, denominator)).se == pytest.approx(spread, rel=0.05)


def test_same_seed_same_bits():
    first = speaker_weights(9, 10, np.random.default_rng(1))
    np.testing.assert_array_equal(first, speaker_weights(9, 10, np.random.default_rng(1)))
