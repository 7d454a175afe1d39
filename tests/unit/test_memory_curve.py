"""A control where no net fits: read between two nets of the curve, never beyond its ends."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.memory.curve import curve_heads, place_of, read_off
from engram_audio.memory.families import SMALLEST_WIDTH
from engram_audio.memory.tables import verdict_table, with_curve
from tests.report_memory_tables import VERDICT, curve, published, run_of
from tests.unit.prediction_material import head_settings

SIZES = curve().sizes  # 100, 1,000 and 10,000 numbers at 88.5, 88.0 and 87.5 nats


@pytest.mark.parametrize(
    ("budget", "nats"), [(100, 88.5), (1000, 88.0), (316.2277, 88.25), (10_000, 87.5)]
)
def test_the_reading_is_linear_in_the_logarithm_of_the_size(budget: float, nats: float):
    place = place_of(SIZES, "parameters", budget)  # type: ignore[arg-type]
    assert place is not None
    sums = read_off(curve(), place)
    own = sums.loc[(sums["part"] == "eval") & (sums["slice"] == "all")]
    exact = curve().scores.query("model == 'net_1' and part == 'eval' and slice == 'all'")
    noise = exact["nll"].sum() / exact["num_frames"].sum() - 88.0  # between speakers, all share it
    assert own["nll"].sum() / own["num_frames"].sum() - noise == pytest.approx(nats, abs=1e-4)


@pytest.mark.parametrize("budget", [99, 10_001])
def test_nothing_is_read_beyond_the_ends(budget: int):
    assert place_of(SIZES, "parameters", budget) is None


def test_a_curve_begins_at_the_smallest_net_of_the_family():
    nets = curve_heads(head_settings(), [8, 64])
    least = nets["net_0"]
    assert (least.components, least.trunk.num_layers, least.trunk.frame_width) == (1, 1, 1)
    assert not least.is_linear_skip and least.trunk.width == SMALLEST_WIDTH
    assert [net.trunk.width for net in nets.values()] == [8, 8, 64]


def test_a_control_that_no_net_fits_is_read_at_the_memorys_budget():
    """The memory holds 1,000 numbers: the curve says 88.0 where the larger net had 80."""
    run = run_of("robust", {"matched_parameters": 80.0}, misfit={"matched_parameters": "larger"})
    row = verdict_table(published([with_curve(run, curve())]), VERDICT).iloc[0]
    assert row["verdict"] == "PROCEED" and "read off the curve" in row["reason"]
    table = published([with_curve(run, curve())])
    own = table.loc[(table["control"] == "matched_parameters") & (table["part"] == "eval")]
    assert own["gain_nats"].to_numpy() == pytest.approx(np.full(len(own), 2.0), abs=0.15)
    assert set(own["control_misfit"]) == {"curve"}


def test_a_control_beyond_the_curve_stays_a_misfit():
    run = run_of("robust", misfit={"matched_flops": "smaller"})
    sizes = {name: {**size, "flops": size["flops"] // 1000} for name, size in SIZES.items()}
    same = with_curve(run, curve()._replace(sizes=sizes))
    assert same.header["misfits"] == {"matched_flops": "smaller"}
    pd.testing.assert_frame_equal(same.scores, run.scores)
