"""Quantiles and tails by special functions are those of `scipy.stats`, bit for bit."""

import numpy as np
import pytest
from scipy import stats

from engram_audio.calibration.radial import scale_mixture_entropy
from engram_audio.stats import student_t

DF = np.concatenate(
    [[np.nan, -1.0, 0.0, 1e-3, 0.5, np.inf], np.arange(1, 200), np.geomspace(0.1, 1e6, 200)]
)


@pytest.mark.parametrize("probability", [0.05, 0.5, 0.9, 0.95, 0.975, 0.9995, 1.0])
def test_quantiles_are_those_of_scipy(probability: float):
    """Also where there are no degrees of freedom: NaN, and where there are infinitely many."""
    expected = stats.t.ppf(probability, DF)
    np.testing.assert_array_equal(student_t.quantile(probability, DF), expected)


def test_tails_are_those_of_scipy():
    """Far tails, ties and infinities included."""
    value = np.array([-np.inf, -40.0, -2.1, -0.0, 0.0, 1e-9, 0.3, 7.0, np.inf, np.nan])[:, None]
    np.testing.assert_array_equal(student_t.below(value, DF), stats.t.cdf(value, DF))
    np.testing.assert_array_equal(student_t.above(value, DF), stats.t.sf(value, DF))


@pytest.mark.parametrize("num_dims", [1, 2, 8, 32, 512])
def test_one_scale_has_the_entropy_of_a_gaussian(num_dims: int):
    """The radius of a normal vector follows a chi distribution."""
    entropy = scale_mixture_entropy(np.array([2.0]), np.array([1.0]), num_dims)
    expected = num_dims * (0.5 * np.log(2 * np.pi * np.e) + np.log(2.0))
    assert entropy == pytest.approx(expected, abs=1e-3)
