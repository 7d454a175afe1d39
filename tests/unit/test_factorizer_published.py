"""The published rows of the stage hold the known means, and their columns are described."""

import numpy as np
import pandas as pd
import pytest

from engram_audio.factorizer.state_comparison import comparison_table
from engram_audio.structure.columns import STRUCTURE
from tests.report_factorizer_tables import RUNS, published


@pytest.fixture(scope="module")
def rows() -> pd.DataFrame:
    table = published()
    chosen = table.loc[(table["part"] == "eval") & (table["slice"] == "all")]
    return chosen.set_index("factorizer")


def test_gains_are_paired_over_the_predictor_that_val_prefers(rows):
    """All models share the speakers' noise: differences are exact."""
    assert set(rows["best_direct"]) == {"student_t_mixture"}
    for name, (_, _, _, bound, *_) in RUNS.items():
        assert rows.loc[name, "gain_over_direct_nats"] == pytest.approx(88.0 - bound)
        assert rows.loc[name, "information_nats"] == pytest.approx(95.0 - bound)
        width = (
            rows.loc[name, "gain_over_direct_nats_high"]
            - rows.loc[name, "gain_over_direct_nats_low"]
        )
        assert width == pytest.approx(0, abs=1e-9)


def test_rates_and_costs(rows):
    charged = rows.loc["charged"]
    assert charged["rate_nats"] == pytest.approx(8.0)
    assert charged["innovation_bits_per_s"] == pytest.approx(8.0 * 12.5 / np.log(2))
    # the weighted bound takes one nat off the plain one, and so off the rate
    assert charged["weighted_bits_per_s"] == pytest.approx(7.0 * 12.5 / np.log(2))
    assert charged["cost_shuffled_rec"] == pytest.approx(0.3)
    assert np.isnan(rows.loc["first_experiment", "elbo_nats"])
    assert not rows.loc["first_experiment", "is_honest"]


def test_states_stand_beside_their_source():
    """Metrics of both by key and lag; one that the source lacks stays empty."""

    def summary(value: float, dims: int) -> dict:
        return {
            "lag_one": {"median": value}, "lag_one_within_utterance": {"median": value / 2},
            "effective_rank": dims - 0.5, "metadata": {"num_dims": dims},
        }  # fmt: skip

    def structure(name: str, key: str, value: float) -> dict:
        return {
            "representation": name, "split_seed": 0, "part": "eval", "slice": "all",
            "subspace": "all", "status": "ok", "key": key, "lag_frames": 2,
            "added_fraction": value, "added_fraction_low": value - 0.01,
            "added_fraction_high": value + 0.01,
        }  # fmt: skip

    def linear(name: str, model: str, value: float) -> dict:
        return {
            "representation": name, "split_seed": 0, "part": "eval", "slice": "all",
            "model": model, "lag_frames": 1, "r2": value, "r2_low": value, "r2_high": value,
            "cosine": value, "cosine_low": value, "cosine_high": value,
        }  # fmt: skip

    found = pd.DataFrame(
        [structure("x", "a", 0.1), structure("x_state", "a", 0.3), structure("x_state", "b", 0.2)]
    )
    table = comparison_table(
        {"x_state": "x"},
        {"x": summary(0.8, 32), "x_state": summary(0.2, 4)},
        found.reindex(columns=STRUCTURE.names()),
        pd.DataFrame([linear(name, model, value) for name in ("x", "x_state")
                      for model, value in (("ridge", 0.4), ("white_noise", 0.5))]),
        None,
    ).set_index(["metric", "key"])  # fmt: skip
    fraction = table.loc[("added fraction", "a")]
    assert (fraction["value"], fraction["source_value"]) == (0.3, 0.1)
    assert (fraction["null"], fraction["source_null"]) == (0.0, 0.0)
    assert np.isnan(table.loc[("added fraction", "b"), "source_value"])
    assert table.loc[("ridge R^2 of delta", ""), "null"] == 0.5
    assert table.loc[("lag-one autocorrelation, median", ""), "source_value"] == 0.8
