"""The loop closed: a memory that reads a learned key, on a table that one frame does not tell.

Second-order table of 256 symbols, 60 train and 20 eval speakers of 25 utterances. Entries are one
Gaussian each, so part of the gain is the slot's shape: a slot of several successors is no Gaussian.
"""

from typing import Any

import pytest

from engram_audio.keys.fitted import FittedKey
from engram_audio.keys.law_targets import Aim
from engram_audio.keys.learned_fit import Training, fit_learned, train_predictor
from engram_audio.keys.learned_kinds import Laws
from engram_audio.memory.fit import FittedMemory, fit_lookup
from engram_audio.memory.folds import linear_candidates
from engram_audio.training.loop import Callbacks
from tests.statistical.planted_laws import (
    RECIPE,
    Planted,
    bank_section,
    law_section,
    predictor_section,
    prepared,
)
from tests.statistical.planted_prediction import CPU, Mean, plant
from tests.statistical.test_memory_acceptance import EVENT, FOLDS, LAG, settings
from tests.unit.law_material import family
from tests.unit.memory_material import key_of

pytestmark = pytest.mark.slow
SLOTS = 256
ONE_FRAME_NATS = 1.31  # what 256 cells of two frames know beyond 256 cells of one (closed form)


def learned_key(world: Any) -> FittedKey:
    """Train `laws_256` on the frames that memories are fitted on."""
    material = world.material
    window, aim = material.window_frames, Aim("position", "none", LAG)
    frames = Planted(material.block, dict(material.part_of))
    section = law_section(window_frames=window)
    ready = prepared(frames, aim, section, bank_section(num_components=(256, 512)))
    how = Training(
        predictor_section(dropout=0.1), {"key": RECIPE}, lambda label, fit: fit(None, Callbacks()),
        0, 10, window,
    )  # fmt: skip
    network, _ = train_predictor(ready.material, how)
    kinds = Laws(kind="laws", codebook_sizes=(SLOTS,)).model_dump()
    found = fit_learned("learned", family(kinds), ready.material, network, how)
    return found.fitted.keys[0]


def test_a_learned_key_is_looked_up():
    """At least 1.0 nats beyond a one-frame key, and no worse than 2-grams with no fewer slots."""
    world = plant("table_second_order", num_symbols=SLOTS)
    candidates = linear_candidates(world.material, LAG, EVENT, FOLDS)
    frame_key = key_of(world.material, f"last_frame.raw.kmeans_{SLOTS}")
    keys = {
        "learned": (learned_key(world), {"ngram_orders": [1]}),
        "one frame": (frame_key, {"ngram_orders": [1]}),
        "2-gram": (frame_key, {"ngram_orders": [2, 1], "maximum_slots": SLOTS}),
    }
    marginal = world.null_nll("gaussian_marginal_position", LAG, EVENT)
    gains: dict[str, Mean] = {}
    slots: dict[str, int] = {}
    for name, (key, changes) in keys.items():
        own = settings("robust", minimum_count=2, **changes)
        fitted: FittedMemory = fit_lookup(own, key, world.material, LAG, candidates, 0, CPU)
        model: Any = fitted.model
        gains[name] = world.mean_of(marginal - world.nll(model, LAG, EVENT))
        budget, slots[name] = model.budget(), model.num_slots
        print(
            f"{name}: {gains[name].value:.2f} +- {gains[name].error:.2f} nats over the marginal, "
            f"{model.num_slots} slots, {budget.parameters} numbers, {budget.flops} FLOPs"
        )
    beyond = gains["learned"].value - gains["one frame"].value
    print(f"beyond one frame {beyond:.2f}, of which the information is {ONE_FRAME_NATS}")
    assert beyond >= 1.0
    assert gains["learned"].value >= gains["2-gram"].value - 0.5
    assert slots["learned"] <= slots["2-gram"], "no more slots than the 2-grams have"
