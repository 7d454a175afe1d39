"""What the gate reads of the prediction table: the chosen head, at the registered lag, by slice."""

from typing import Any

import pandas as pd
import pytest

from engram_audio.prediction.cells import cells_of
from engram_audio.prediction.heads_gain import heads_gains

SLICES = ("all", "medial")


def _rows(head: str, select_nll: float, gain: float, **changes: Any) -> list[dict[str, Any]]:
    cells = {
        "representation": "codec", "seed": 0, "lag_frames": 2, "target": "delta", "model": head,
        "kind": "head", "num_seeds": 3, "interval_over": "seeds and speakers",
        "best_null": "ridge_mixture", "information_nats": 7.0, "gain_seeds_nats": gain,
        "gain_seeds_nats_low": gain - 0.1, "gain_seeds_nats_high": gain + 0.1,
        "gain_seeds_freedom": 4.0,
    }  # fmt: skip
    return [
        {**cells, "part": part, "slice": name, "nll_mean": select_nll, **changes}
        for part in ("val", "select", "eval")
        for name in ("all", "medial", "final")
    ]


def test_the_head_is_chosen_on_select_and_its_interval_is_read():
    """The head that gains more on eval is not the one that was chosen."""
    table = pd.DataFrame([*_rows("chosen", 1.0, 0.3), *_rows("other", 2.0, 0.9)])
    found = heads_gains(table, "codec", 2, SLICES)
    assert found is not None and set(found) == set(SLICES)
    assert found["all"].gain == pytest.approx((0.3, 0.2, 0.4))
    assert found["all"].information == 7.0
    assert found["all"].df == 4.0
    assert (
        "chosen (3 seeds, over seeds and speakers; best null ridge_mixture)" in found["all"].words
    )


def test_a_cells_head_is_chosen_where_choices_are_made():
    """The head that is worse on select is better on eval, and is not chosen."""
    table = pd.DataFrame([*_rows("chosen", 1.0, 0.3), *_rows("other", 2.0, 0.9)])
    is_other = (table["model"] == "other") & (table["part"] == "eval")
    table.loc[is_other, "nll_mean"] = 0.5
    cells = cells_of(table, "codec")
    assert (cells.chosen_on, cells.chosen_head(2, "delta")) == ("select", "chosen")


def test_one_seed_says_so():
    table = pd.DataFrame(_rows("chosen", 1.0, 0.3, num_seeds=1, interval_over="speakers"))
    found = heads_gains(table, "codec", 2, SLICES)
    assert found is not None and "heads: one seed" in found["all"].words


@pytest.mark.parametrize(
    "changes", [{"lag_frames": 1}, {"target": "position"}, {"representation": "other"}]
)
def test_heads_of_another_lag_target_or_representation_do_not_count(changes: dict[str, Any]):
    table = pd.DataFrame(_rows("chosen", 1.0, 0.3, **changes))
    assert heads_gains(table, "codec", 2, SLICES) is None
