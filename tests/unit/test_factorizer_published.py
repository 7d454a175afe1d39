"""The published rows of the stage hold the known means, and their columns are described."""

import numpy as np
import pandas as pd
import pytest
import torch

from engram_audio.factorizer.bound import frame_bounds
from engram_audio.factorizer.context import bound_context, frames_in_words
from engram_audio.factorizer.state_comparison import comparison_table
from engram_audio.structure.columns import STRUCTURE
from tests.report_factorizer_tables import RUNS, published
from tests.unit.factorizer_material import DOCUMENT, small_model


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


def test_both_contexts_stand_beside_the_gain(rows):
    """The study's nets are recurrent, the direct predictor has a window of 8."""
    assert set(rows["bound_context"]) == {"whole past"}
    assert set(rows["direct_context"]) == {"8 frames"}


NETWORK = {**DOCUMENT["encoder"], "kind": "transformer", "context_frames": 3}


@pytest.mark.parametrize("rate", ["strictly_past", "free"])
@pytest.mark.parametrize(
    ("stride", "upsampler"),
    [(1, "piecewise_constant"), (2, "piecewise_constant"), (2, "cross_attention")],
)
def test_the_context_in_words_is_what_the_bound_depends_on(rate: str, stride: int, upsampler: str):
    """Frames that far back move the bound of some frame of a step, older ones of none."""
    model = small_model(
        encoder=NETWORK, dynamics__network=NETWORK, state__rate=rate, state__stride_frames=stride,
        state__upsampler=upsampler, state__is_whitened=False,
    ).eval()  # fmt: skip
    with torch.no_grad():  # the parts that start at zero must speak
        generator = torch.Generator().manual_seed(1)
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator))
    frames = torch.randn((1, 40, 4), generator=torch.Generator().manual_seed(0))
    is_real = torch.ones((1, 40), dtype=torch.bool)

    def bound(values: torch.Tensor) -> torch.Tensor:
        generator = torch.Generator().manual_seed(2)
        return frame_bounds(model, values, is_real, 2, generator)[0]

    before, context = bound(frames), 0
    for cut in range(20, 40):
        moved = frames.clone()
        moved[0, :cut] += 3.0
        is_moved = (bound(moved) - before).abs() > 1e-5
        context = max(context, *(t - cut + 1 for t in range(40 - stride, 40) if is_moved[t]), 0)
    assert bound_context(model.settings) == frames_in_words(context)


def test_recurrent_nets_and_filters_see_everything():
    recurrent = small_model(state__rate="strictly_past").settings
    filtered = small_model(encoder=NETWORK, dynamics__network=NETWORK).settings
    assert bound_context(recurrent) == bound_context(filtered) == "whole past"


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
