"""Robust summaries agree with numpy and scipy and ignore wild frames."""

import numpy as np
import pytest
from scipy import stats

from engram_audio.stats.robust import robust_summary, trimmed_mean


def test_agrees_with_numpy_and_scipy():
    values = np.random.default_rng(0).standard_t(3, size=500)
    summary = robust_summary(values, trim=0.1)
    assert summary.mean == pytest.approx(values.mean())
    assert summary.median == pytest.approx(np.median(values))
    assert summary.trimmed_mean == pytest.approx(stats.trim_mean(values, 0.1))
    np.testing.assert_allclose(summary.quantiles, np.quantile(values, [0.05, 0.25, 0.75, 0.95]))


def test_one_wild_value_moves_the_mean_only():
    values = np.append(np.linspace(-1, 1, 999), 1e9)
    summary = robust_summary(values, trim=0.01)
    assert summary.mean > 1e5
    assert abs(summary.median) < 0.01 and abs(summary.trimmed_mean) < 0.02


def test_values_that_are_not_finite_are_counted():
    summary = robust_summary(np.array([1.0, 2.0, np.nan, np.inf]), trim=0.0)
    assert (summary.num_values, summary.num_left_out) == (2, 2)


def test_nothing_to_summarise_is_refused():
    with pytest.raises(ValueError, match="finite"):
        robust_summary(np.array([np.nan]), trim=0.0)
    with pytest.raises(ValueError, match="trim"):
        trimmed_mean(np.ones(4), 0.5)
