"""A latent n-gram memory on a table that two frames tell: what it reaches, beside its controls.

`table_second_order` with 256 symbols at the sizes of `planted_generation`. The memory and its
random router have two seeds, other controls one. A one-frame key reaches 4.8 nats there, hashed
2-grams of its codes reach .4, and the law itself has -3.4.
"""

import functools
from typing import Any

import pytest

from engram_audio.generation.model_config import ArmName, LatentInsertion
from tests.statistical.planted_generation import Arena, Scored, arena, trained

pytestmark = pytest.mark.slow
LATENT: dict[str, Any] = {
    "kind": "latent_ngrams", "key": "last_frame.raw.kmeans_512", "ngram_orders": [2],
    "table_learning_rate_factor": 5.0, "places": ["input"], "num_routes": 16, "num_bits": 6,
    "row_width": 16, "num_heads": 4, "num_value_heads": 4, "head_width": 16,
    "first_open_share": 0.5, "router_share": 0.5,
}  # fmt: skip
ONE_FRAME = 4.8  # nats of SM with a one-frame key, `test_generation_acceptance.py`


@functools.cache
def world() -> Arena:
    return arena("table_second_order", LATENT, num_symbols=256, kind=LatentInsertion)


@functools.cache
def scored(name: ArmName, seed: int) -> Scored:
    one = trained(world(), name, seed)
    work, rows = one.budget.flops_generated, one.budget.num_touched
    print(
        f"{name} seed {seed}: {one.nll:.2f} nats at {work} FLOPs, {rows} numbers of rows read, "
        f"gate {one.gate:.2f}", flush=True,
    )  # fmt: skip
    return one


def test_it_knows_the_second_frame():
    """At least a nat below a one-frame key, and below a model without memory of as much work."""
    for seed in (0, 1):
        assert scored("SM", seed).nll < ONE_FRAME - 1
    assert scored("SM", 0).nll < scored("F", 0).nll - 1


@pytest.mark.parametrize("control", ["SMu", "SMx", "SMm"])
def test_what_its_gain_is_made_of(control: ArmName):
    """1-grams alone, the symbols of another utterance and a network of equal work: a nat worse."""
    assert scored("SM", 0).nll < scored(control, 0).nll - 1


def test_the_random_router_stands_beside_it():
    """A router that learned is no worse than planes at random, up to a quarter of a nat."""
    for seed in (0, 1):
        gain = scored("SMr", seed).nll - scored("SM", seed).nll
        print(f"seed {seed}: the learned router gains {gain:.2f} nats over the random one")
        assert gain > -0.25
