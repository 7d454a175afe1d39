"""Weighted resampling equals resampling; it agrees with scipy where scipy applies."""

import numpy as np
import pytest
from scipy import stats

from engram_audio.stats.bootstrap import (
    percentile_interval,
    resampled_ratios,
    speaker_weights,
    studentised_interval,
    utterance_weights,
)
from engram_audio.stats.estimate import t_interval, uncertain
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


def test_studentised_interval_is_near_the_t_interval_for_normal_speakers():
    """For normal data the pivot is t; a 97.5 % quantile of 20000 draws is off by about 2 %."""
    rng = np.random.default_rng(7)
    sample, ones = rng.normal(size=60), np.ones(60)
    weights = speaker_weights(60, 20_000, np.random.default_rng(8))
    found = studentised_interval(weights, sample, ones, 0.95)
    expected = t_interval(uncertain(ratio_of_sums(sample, ones)), 0.95)
    width = expected.high - expected.low
    assert found.high - found.low == pytest.approx(width, rel=0.15)
    assert found.low == pytest.approx(float(expected.low), abs=0.1 * float(width))


def test_hierarchical_weights_draw_whole_speakers_then_their_utterances():
    speaker_of_utterance = np.array([0, 0, 0, 1, 1, 2])
    weights = utterance_weights(speaker_of_utterance, 3000, np.random.default_rng(9))
    per_speaker = np.stack([weights[:, speaker_of_utterance == s].sum(1) for s in range(3)], 1)
    copies = per_speaker / np.array([3, 2, 1])
    np.testing.assert_array_equal(copies, copies.astype(int))  # m copies give m * n utterances
    np.testing.assert_array_equal(copies.sum(axis=1), 3)
    # mean weight of an utterance is 1; the SD of one is at most sqrt(3), of the mean .032
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=4 * np.sqrt(3 / 3000))


def test_same_seed_same_bits():
    first = speaker_weights(9, 10, np.random.default_rng(1))
    np.testing.assert_array_equal(first, speaker_weights(9, 10, np.random.default_rng(1)))
