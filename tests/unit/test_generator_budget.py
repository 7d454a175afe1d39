"""What a generator works and holds, against torch's own count of its products; matched models."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.generation.budget import budget_of
from engram_audio.generation.dimensions import Dimensions
from engram_audio.generation.flow_head import FlowHead
from engram_audio.generation.matching import match_arms, planned_budget
from engram_audio.generation.model import Generator
from engram_audio.generation.model_config import ArmName
from engram_audio.generation.sources import OneRow, Rows, RowTable, tables_of
from tests.unit.generator_material import (
    ARMS_AND_FORMS,
    ENGRAM,
    HEADS,
    LATENT,
    MINIMAL,
    NGRAM,
    SIGNED,
    arm,
    foreign_codes,
    frames,
    insertion,
    key,
    settings,
)

PLAIN_ENGRAM: dict[str, Any] = {**ENGRAM, "kernel_frames": None}
FORMS = {"minimal": MINIMAL, "n-grams": NGRAM, "engram": PLAIN_ENGRAM, "latent": LATENT,
         "signed": SIGNED}  # fmt: skip
MATH = torch.nn.attention.SDPBackend.MATH  # the one whose products torch counts


def products(model: Generator, x: torch.Tensor) -> int:
    """Operations of the products of one step and one draw, with full caches."""
    codes = foreign_codes(model, x)
    with torch.no_grad(), torch.nn.attention.sdpa_kernel(MATH):
        _, state = model.extend(model.start(), x[:, :-1], None if codes is None else codes[:, :-1])
        with FlopCounterMode(display=False) as counter:
            # a foreign arm's search is that of the utterance whose keys it reads
            own = None if codes is None else codes[:, -1]
            if model.is_foreign and not model.is_routed:
                own = model.codes(x[:, -1:])[:, 0]
            features, state = model.step(state, x[:, -1], own)
            model.sample(features, model.last(state), 1, torch.Generator().manual_seed(0))
    return counter.get_total_flops()


@pytest.mark.parametrize(("name", "form"), ARMS_AND_FORMS)
def test_work_is_what_torch_counts(name: ArmName, form: str):
    """Beside products there is one addition for each number read from a table.

    A k-means key holds one number more than its centroids: its mean distance.
    """
    model = arm(name, settings(short_context_frames=3), insertion(FORMS[form]))
    tables = [own for own in model.modules() if isinstance(own, RowTable | OneRow)]
    read = sum(getattr(own, "rows_per_frame", 1) * own.table.embedding_dim for own in tables)
    of_key = 2 if model.searches_key else 0
    of_key += read if form == "signed" else 0  # and one product with its sign
    if model.is_foreign and model.is_routed:  # so is its routing, on the other's state
        of_key += sum(2 * own.weight.numel() for name, own in model.named_modules()
                      if isinstance(own, nn.Linear) and "sources" in name)  # fmt: skip
    assert budget_of(model).flops_generated == products(model, frames(1, 20)) + read + of_key


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("name", ["S", "SM"])
def test_work_of_heads_is_what_torch_counts(head: str, name: ArmName):
    """Every kind of head; a flow of two steps runs its network twice."""
    model = arm(name, settings(head=HEADS[head]))
    read = sum(own.rows_per_frame * own.row_width for own in tables_of(model))
    of_key = 2 if model.searches_key else 0
    assert budget_of(model).flops_generated == products(model, frames(1, 20)) + read + of_key


def test_training_a_head_without_a_density_works_once_for_each_draw():
    """Draws in training, one in generation: what features tell is told once by the energy head."""
    models = {kind: arm("S", settings(head=values)) for kind, values in HEADS.items()}
    once = 2 * (16 + 3) * 12 + 2 * (2 * 3 * 3 + 9) + 2 * 9  # told, linear base, away
    energy, flow = models["energy"].head, models["flow"].head
    assert energy.flops_trained == 3 * (once + 4 * (energy.flops - once))
    base = 2 * (2 * 3 * 3 + 9) + 2 * 9
    step = (flow.flops - base) // 2
    weight = 2 * (2 * 32 + 2 * 32 * 32 + 32)
    assert flow.flops_trained == 3 * 3 * (2 * step + weight) + base + 2 * 9  # 1 + 2 x 1/2


def trained_products(distilled_share: float) -> tuple[int, float]:
    """What a flow head says that a train frame works, and what torch counts of its loss."""
    model = arm("S", settings(head=HEADS["flow"])).train()
    head, x = model.head, frames(4, 24)
    assert isinstance(head, FlowHead)
    head.settings = head.settings.model_copy(update={"distilled_share": distilled_share})
    with torch.no_grad():
        features, recent = model.features(x), model.recent(x)
    features.requires_grad_()
    with FlopCounterMode(display=False) as counter:
        head.loss(features[:, :-1], recent[:, :-1], x[:, 1:]).mean().backward()
    return head.flops_trained, counter.get_total_flops() / (4 * 23)


def test_training_a_flow_is_what_torch_counts():
    """Matching: exactly, but for gradients of inputs that nobody asks for, and one whitening.

    Nobody asks for those of the noisy frame, of the times' sinusoids and of the two times that
    weigh. Where every step distils, the network's passes are two more, to a tenth: the slope needs
    no map of what does not depend on the time, but the target passes a gradient on.
    """
    (told, counted), (told_all, counted_all) = trained_products(1e-9), trained_products(1.0)
    unasked = 2 * 3 * (3 * 12 + 2 * 256 * 12 + 2 * 32)  # draws, then weights of these maps
    assert told - unasked - 2 * 9 == counted
    assert counted_all - counted == pytest.approx(told_all - told, rel=0.1)


def test_taps_of_a_convolution_are_counted():
    """Each is one product per channel and frame."""
    plain = budget_of(arm("SM", memory=insertion(PLAIN_ENGRAM)))
    mixed = budget_of(arm("SM", memory=insertion(ENGRAM)))
    places, taps, width = 2, ENGRAM["kernel_frames"], settings().width
    assert mixed.flops_generated - plain.flops_generated == 2 * places * taps * width
    assert mixed.num_resident - plain.num_resident == places * (taps + 1) * width  # and biases


def test_numbers_held_read_and_touched():
    """Counted by hand on the smallest memory: 7 rows of 4, of which train has read 2."""
    small, model = budget_of(arm("S")), arm("SM")
    rows = next(own for own in model.modules() if isinstance(own, Rows))
    rows.count_visits(torch.tensor([[1], [1], [5]]))
    own, width = budget_of(model), settings().width
    codebook = 6 * 3 + 1
    reader = 4 * width + width + (width + 1)  # value, norm, gate
    assert own.num_resident - small.num_resident == 7 * 4 + codebook + reader
    assert own.num_read - small.num_read == 4 + codebook + reader
    assert (small.num_touched, own.num_touched) == (0, 2 * 4)
    cache = 2 * settings().num_blocks * settings().context_frames * width
    assert own.bytes_per_frame == 4 * (own.num_read + cache)


def test_training_works_three_times_in_the_network_and_once_in_the_search():
    """Rows and codes have no matrix to differentiate."""
    arms: tuple[ArmName, ...] = ("S", "SM", "SMm")
    for name in arms:
        model = arm(name)
        own = budget_of(model)
        once = 2 * 6 * 3 + 2 + 4 if name == "SM" else 0
        assert own.flops_trained == 3 * (own.flops_generated - once) + once


def test_checkpointed_blocks_work_once_more():
    """Two operations for each weight of a block, and two products with a full context."""
    plain, again = (budget_of(arm("S", settings(is_checkpointed=own))) for own in (False, True))
    own = settings()
    block = 4 * own.width**2 + 2 * own.width * own.mlp_units + 2 * own.context_frames * own.width
    assert again.flops_trained - plain.flops_trained == 2 * own.num_blocks * block
    assert again.flops_generated == plain.flops_generated


def test_a_router_that_learns_reads_a_row_for_each_bit():
    """Rows for n M bits of each route and n-gram, while it learns; a fixed or foreign one none."""
    more = {}
    for share in (0.0, 0.5):
        memory = insertion({**LATENT, "router_share": share})
        for name in ("SM", "SMr", "SMx"):
            more.setdefault(name, []).append(budget_of(arm(name, memory=memory)).flops_trained)
    bits = LATENT["num_routes"] * LATENT["num_bits"] * sum(LATENT["ngram_orders"])
    numbers = len(LATENT["places"]) * bits * LATENT["row_width"]
    assert more["SM"][1] - more["SM"][0] == numbers / 2
    assert more["SMr"][0] == more["SMr"][1] and more["SMx"][0] == more["SMx"][1]


def test_networks_in_place_of_the_lookup_work_no_less():
    """SMm and SMf: at least SM's work, at most one hidden unit more at each place."""
    networks: tuple[tuple[ArmName, int], ...] = (("SMm", settings().width), ("SMf", 3))
    for values in (MINIMAL, NGRAM, PLAIN_ENGRAM):
        for num_codes in (6, 300):
            memory, of = insertion(values), key(num_codes)
            wanted = budget_of(arm("SM", memory=memory, of=of)).flops_generated
            for name, num_inputs in networks:
                model = arm(name, memory=memory, of=of)
                assert model.memory is not None
                width = model.memory.source(next(iter(model.memory.sources))).width
                unit = 2 * (num_inputs + width) * len(model.memory.sources)
                assert 0 <= budget_of(model).flops_generated - wanted < unit, (name, values)


def wide_base(num_dims: int) -> BaseArrays:
    zeros = np.zeros(num_dims)
    weight = np.zeros((2 * num_dims, num_dims))
    return BaseArrays("position", zeros, zeros, weight, zeros, np.eye(num_dims))


@pytest.mark.parametrize(
    ("num_dims", "num_codes", "width", "heads", "table_rows"),
    [(8, 256, 32, 4, None), (8, 1024, 32, 2, 4096), (32, 256, 48, 4, None), (64, 512, 64, 4, 1024),
     (128, 64, 24, 2, None), (512, 1024, 128, 8, 8192)],
)  # fmt: skip
def test_matched_models_are_never_smaller_and_hardly_larger(
    num_dims: int, num_codes: int, width: int, heads: int, table_rows: int | None
):
    """F works and P holds at least as much as SM, and less than 2 % more."""
    own = settings(width=width, mlp_units=4 * width, num_heads=heads)
    values = MINIMAL if table_rows is None else {**NGRAM, "table_rows": table_rows}
    parts = (insertion(values), key(num_codes, num_dims), _dimensions(num_dims))
    base = wide_base(num_dims)
    found = match_arms(own, *parts, base)
    assert set(found) == set(get_args(ArmName))
    assert all(found[name] == own for name in found if name not in ("F", "P"))
    wanted = planned_budget("SM", own, *parts, base)
    matched: tuple[tuple[ArmName, str], ...] = (("F", "flops_generated"), ("P", "num_resident"))
    for name, measure in matched:
        share = getattr(planned_budget(name, found[name], *parts, base), measure) / getattr(
            wanted, measure
        )
        assert 1 <= share <= 1.02, (name, share)
        assert found[name].width >= width and found[name].width % own.width_step == width % (
            own.width_step
        )


def _dimensions(num_dims: int) -> Dimensions:
    return Dimensions(np.zeros(num_dims), np.ones(num_dims), np.zeros(num_dims))


def test_a_planned_budget_is_that_of_the_model():
    """Models are measured without their weights being made."""
    planned: tuple[ArmName, ...] = ("S", "SM", "SMm")
    for name in planned:
        model = arm(name)
        spec = model.spec
        assert planned_budget(
            name, spec.settings, spec.insertion, spec.key, spec.dimensions, spec.base
        ) == budget_of(model)
