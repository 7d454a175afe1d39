"""No number depends on the unit of the latents: floors are shares of the data's own scale.

A power of two is exact in float32, so it must change no bit that has no unit; other factors round.
"""

import numpy as np
import pytest

from engram_audio.stats.floors import SD_SHARE, floored_variance
from tests.unit.instruments import measure, structure_of, structure_tables
from tests.unit.prediction_material import World, first_order, make_world

EXACT = ("linear", "pca", "predictive", "target_oracle", "var")
NATS = 1e-4  # log densities are float32 sums with the unit's log, up to 83 nats, in them


def world_in(unit: float | np.ndarray) -> World:
    """The same world in another unit, for all dimensions or for each."""
    simulate = first_order(0.7, 3)
    return make_world(lambda generator, length: (simulate(generator, length) + 0.3) * unit)


@pytest.fixture(scope="module")
def own() -> dict[str, np.ndarray]:
    return measure(world_in(1.0))


def test_a_power_of_two_changes_no_instrument(own: dict[str, np.ndarray]):
    """X 2^-40: structure and surrogate bit by bit, nats of all others to 1e-4."""
    found = measure(world_in(2.0**-40))
    for name in EXACT:
        np.testing.assert_array_equal(found.pop(name), own[name], err_msg=name)
    for name, values in found.items():
        np.testing.assert_allclose(values, own[name], rtol=1e-5, atol=NATS, err_msg=name)


@pytest.mark.parametrize("power", [-27, 27, 40])
def test_structure_has_no_unit(own: dict[str, np.ndarray], power: int):
    for name, values in structure_of(world_in(2.0**power)).items():
        np.testing.assert_array_equal(values, own[name], err_msg=name)


@pytest.mark.parametrize("unit", [1e-8, 1e8])
def test_other_factors_round_and_do_no_more(own: dict[str, np.ndarray], unit: float):
    found = structure_of(world_in(unit))["linear"]
    np.testing.assert_allclose(found, own["linear"], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("power", [-20, 20])
def test_one_dimension_in_another_unit_leaves_what_works_by_dimension(power: int):
    """Linear nulls differ by the log of the unit; normalised targets do not differ.

    Scores of ridge and of keys do: one penalty and one distance weigh all dimensions.
    """
    one, other = world_in(1.0), world_in(np.array([1.0, 2.0**power, 1.0]))
    gaps = [
        changed.fit.choice_nll - null.fit.choice_nll
        for null, changed in zip(
            one.material.linear_nulls, other.material.linear_nulls, strict=True
        )
    ]
    np.testing.assert_allclose(gaps, power * np.log(2.0), atol=1e-4)
    before, after = (structure_tables(world) for world in (one, other))
    for name, table in before.items():
        total = "sse_total" if name == "linear" else "sse_zero"
        for column in (total, "num_frames"):
            np.testing.assert_array_equal(after[name][column], table[column], err_msg=name)
        assert (table[total].to_numpy() > 0).any()


def test_a_floor_is_a_share_of_the_dimensions_own_values():
    variance = np.array([0.5, 0.0, -1e-18, 0.0])
    square = np.array([0.7, 4.0, 1e-6, 0.0])
    floored = floored_variance(variance, square)
    assert floored[0] == variance[0]
    assert floored[1:3].tolist() == (SD_SHARE**2 * square[1:3]).tolist()
    # a dimension of zeros is measured by the others, and a world of zeros by 1
    assert floored[3] == SD_SHARE**2 * square.mean()
    assert floored_variance(np.zeros(2), np.zeros(2)).tolist() == [SD_SHARE**2] * 2
    tiny = 2.0**-80
    np.testing.assert_array_equal(floored_variance(tiny * variance, tiny * square), tiny * floored)
