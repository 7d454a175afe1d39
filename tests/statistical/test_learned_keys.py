"""Known answers of keys scored by their laws, at full size (generation.md, part K 17).

Sizes: 60 train and 20 eval speakers of 25 utterances, 30,000 train contexts, one seed. Tolerances
are those of the reference, whose standard errors over speakers are .00 to .03.
"""

import pandas as pd
import pytest

from engram_audio.calibration.registry import WORLDS
from engram_audio.calibration.worlds_table import SymbolTable
from engram_audio.keys.law_targets import Aim
from engram_audio.keys.learned_kinds import Laws
from tests.statistical.planted_laws import (
    bank_section,
    law_section,
    nats_of,
    planted,
    predictor_section,
    prepared,
)

pytestmark = pytest.mark.slow
PERMUTED = 0.03  # what codes of other frames may cost or seem to tell


def registered(name: str):
    """A world with its registered parameters."""
    spec = WORLDS[name]
    return spec.family(**{"seed": 0, **spec.parameters})


def measured(name, world, target, window, sizes, dropout=0.0) -> pd.DataFrame:
    """Nats by key and part; printed, so that the docs can be held against them."""
    aim = Aim(target, "none", 1)
    ready = prepared(planted(world), aim, law_section(window_frames=window), bank_section())
    laws = (Laws(kind="laws", codebook_sizes=sizes),)
    table = nats_of(ready, aim, sizes, laws, predictor_section(dropout=dropout))
    print(f"\n{name}: G = {ready.scoring.bank.num_components}\n{table.round(3).to_string()}")
    permuted = table.loc[[key for key in table.index if key.startswith("permuted")], "eval"]
    assert (permuted.abs() <= PERMUTED).all()
    return table


def test_one_frame_is_the_state_of_a_table():
    """A learned key gains nothing over k-means where the newest frame tells the symbol."""
    table = measured("table", SymbolTable(seed=0, num_symbols=256), "position", 4, (64, 256), 0.1)
    learned, plain = table.loc["learned.raw.laws_256", "eval"], table.loc[
        "last_frame.raw.kmeans_256", "eval"
    ]  # fmt: skip
    assert table.loc["learned.raw.laws_64", "eval"] >= 3.2
    assert learned >= 4.4
    assert abs(plain - learned) <= 0.15


def test_a_second_order_table_needs_two_frames():
    """Cells of predicted laws see the state that no single frame holds."""
    world = SymbolTable(seed=0, num_symbols=256, num_residues=4)
    table = measured("table_second_order", world, "position", 4, (64, 256), 0.1)["eval"]
    for size, least in ((64, 3.1), (256, 4.2)):
        learned = table[f"learned.raw.laws_{size}"]
        assert learned >= least
        assert learned - table[f"last_frame.raw.kmeans_{size}"] >= 0.9


def test_the_phase_of_a_walk_stands_in_no_position():
    """The steps of `drift` tell its phase, positions tell next to nothing."""
    table = measured("drift", registered("drift"), "delta", 8, (16,))["eval"]
    assert table["learned.raw.laws_16"] >= 2.05
    assert table["last_frame.raw.kmeans_16"] <= 0.15


def test_a_spread_is_told_by_no_mean():
    """The law of `mag` has mean 0 in every cell, and carries what its spread tells."""
    table = measured("mag", registered("mag"), "delta", 4, (16,))["eval"]
    assert table["learned.raw.laws_16"] >= 0.85
    assert table["last_frame.raw.kmeans_16"] <= 0.02


@pytest.mark.parametrize(("name", "target"), [("iid", "position"), ("rw_shape", "delta")])
def test_no_context_tells_anything_where_there_is_none(name, target):
    """Every key scores 0 where frames, or steps, are independent."""
    table = measured(name, registered(name), target, 4, (64, 256))["eval"]
    keys = [key for key in table.index if key.startswith(("learned", "last_frame"))]
    assert (table[keys].abs() <= 0.03).all()


def test_prototypes_of_ones_own_do_not_transfer():
    """`type1`: codes tell much about known speakers and mislead about new ones."""
    table = measured("type1", registered("type1"), "position", 4, (64,))
    assert table.loc["learned.raw.laws_64", "eval"] < 0
    assert table.loc["last_frame.raw.kmeans_64", "eval"] < 0
    assert table.loc["learned.raw.laws_64", "val"] > 0
