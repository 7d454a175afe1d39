"""A latent n-gram memory on a table that two frames tell: what it reaches, beside its controls.

`table_second_order` with 64 symbols at the sizes of `planted_generation`, 250 steps at 4e-3: the
largest of the rates {1, 2, 4}e-3 of the protocol, which was best on select. Every arm has it.
"""

import functools
from typing import Any

import pytest

from engram_audio.generation.model_config import ArmName, LatentInsertion
from tests.statistical.planted_generation import Arena, Scored, arena, trained

pytestmark = pytest.mark.slow
LATENT: dict[str, Any] = {
    "kind": "latent_ngrams", "key": "last_frame.raw.kmeans_512", "ngram_orders": [2],
    "table_learning_rate_factor": 5.0, "places": ["input"], "num_routes": 4, "num_bits": 5,
    "row_width": 16, "num_heads": 4, "num_value_heads": 4, "head_width": 16,
    "first_open_share": 0.5, "router_share": 0.5,
}  # fmt: skip
NUM_SYMBOLS = 64
RECIPE: dict[str, Any] = {"num_steps": 250, "learning_rate": 4e-3}


@functools.cache
def world() -> Arena:
    return arena("table_second_order", LATENT, num_symbols=NUM_SYMBOLS, kind=LatentInsertion)


@functools.cache
def scored(name: ArmName, seed: int) -> Scored:
    one = trained(world(), name, seed, **RECIPE)
    work, rows = one.budget.flops_generated, one.budget.num_touched
    print(
        f"{name} seed {seed}: {one.nll:.2f} nats at {work} FLOPs, {rows} numbers of rows read, "
        f"gate {one.gate:.2f}", flush=True,
    )  # fmt: skip
    return one


def test_it_knows_the_second_frame():
    """A nat below a model without memory of as much work.

    The frame before the last tells ln 4 = 1.39 nats of the next symbol beside the last one.
    """
    assert scored("SM", 0).nll < scored("F", 0).nll - 1


@pytest.mark.parametrize("control", ["SMu", "SMx", "SMm"])
def test_what_its_gain_is_made_of(control: ArmName):
    """1-grams alone, the symbols of another utterance and a network of equal work: a nat worse."""
    assert scored("SM", 0).nll < scored(control, 0).nll - 1


def test_a_random_router_whose_state_adapts_does_as_well():
    """SMr is told, not beaten: its bits teach the state, which learns to suit the random planes.

    Measured once: .71 nats of SMr and .73 of SM with seed 0, and 1.08 of SM with seed 1. So SMr is
    a memory of its own that a nat beats no better than SM does, and what SM gains over F is no
    proof that its router has learned.
    """
    gain = scored("SMr", 0).nll - scored("SM", 0).nll
    print(f"the learned router gains {gain:.2f} nats over the random one")
    assert scored("SMr", 0).nll < scored("F", 0).nll - 1
