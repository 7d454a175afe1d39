"""Nets of a memory's size: at least its budget, at most 5 % more, for every shipped memory."""

from functools import cache
from operator import attrgetter
from typing import Any

import numpy as np
import pytest

from engram_audio.config import WorkflowConfig, parse_config
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.config import AnyHead
from engram_audio.densities.density import Budget
from engram_audio.densities.factory import build_conditional
from engram_audio.densities.reference import InputScales
from engram_audio.memory.families import SMALLEST_WIDTH, widened
from engram_audio.memory.matching import (
    Size,
    match,
    size_on,
)
from tests import studies
from tests.unit.prediction_material import head_settings

WINDOW = 8
DIMS = (8, 32, 128, 512)
MEASURES = ("parameters", "flops")
MOST = 1.05  # times the memory's budget, by the definition of a control
# Orders of the memory's linear base and of the best null: marginal, one frame, the whole window.
BASES = ((0, 0), (0, 1), (1, 1), (0, 8), (1, 8), (8, 8))


@cache
def study() -> WorkflowConfig:
    return parse_config(studies.study())


def base(order: int, dims: int) -> BaseArrays:
    zeros = np.zeros(dims)
    weight = np.zeros((order * dims, dims))
    return BaseArrays("position", zeros, zeros, weight, zeros, np.eye(dims))


def scales(dims: int) -> InputScales:
    return InputScales(np.zeros(dims), np.ones(dims), np.ones(dims))


@cache
def size_of(dims: int, best_order: int) -> Size:
    arrays = {True: base(best_order, dims), False: base(0, dims)}
    return size_on(lambda head: arrays[head.is_linear_skip], WINDOW, dims)


def controls_head() -> AnyHead:
    return study().prediction.library[study().memory.controls.head]


def key_values(name: str, dims: int) -> tuple[int, int]:
    """Numbers that a shipped key computes a code with, and how many codes there are."""
    feature, key_input, quantizer = name.split(".")
    frames = WINDOW - (key_input == "increments")
    features = dims if feature == "last_frame" else 8
    own = 0 if feature == "last_frame" else frames * dims * features
    kind, _, size = quantizer.rpartition("_")
    if kind == "product":
        groups, codes = map(int, size.split("x"))
        return own + codes * features, codes**groups
    if kind == "lsh":
        return own + int(size) * (features + 1), 2 ** int(size)
    return own + int(size) * features + 1, int(size)


def lookup_budget(row: Any, dims: int, on: Budget) -> Budget:
    """What a fitted lookup holds and does on a base: every code of train has an entry."""
    values, codes = key_values(row.key, dims)
    slots = sum(min(codes**order, row.maximum_slots) for order in row.ngram_orders)
    table = slots * dims + (slots * dims if row.spread == "slot" else dims)
    table += slots if row.weight == "slot" else 1
    work = 2 * values + 6 * row.num_neighbors * dims
    return Budget(on.parameters + values + table, on.flops + work)


def require_control(size: Size, memory: Budget, case: str) -> list[str]:
    found = []
    for measure in MEASURES:
        budget = getattr(memory, measure)
        widest = study().memory.controls.maximum_width
        own = match(controls_head(), size, budget, attrgetter(measure), widest)
        held = getattr(own.budget, measure)
        if own.misfit or not budget <= held <= MOST * budget:
            found.append(f"{case}, {measure}: {held} for {budget} ({own.misfit})")
    return found


@pytest.mark.parametrize("dims", DIMS)
def test_every_shipped_lookup_has_a_control_of_its_size(dims: int):
    """On every linear base that a memory may stand on, and on the head that the study lists."""
    bad = []
    for name, row in study().memory.library.items():
        if row.is_joint:
            continue
        for own, best in BASES:
            on = Budget(own * dims * dims, 2 * own * dims * dims)
            bad += require_control(
                size_of(dims, best), lookup_budget(row, dims, on), f"{name} on {own} of {best}"
            )
        on = size_of(dims, 8)(controls_head())
        bad += require_control(size_of(dims, 8), lookup_budget(row, dims, on), f"{name} on a head")
    assert not bad


def sized(dims: int) -> tuple[AnyHead, Size]:
    return head_settings("gaussian_mixture", num_components=4), size_of(dims, 1)


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("budget", [700, 3_000, 20_001, 500_000])
def test_a_control_holds_the_budget_and_at_most_five_percent_more(budget: int, measure: str):
    head, size = sized(4)
    found = match(head, size, budget, attrgetter(measure), 1024)
    assert found.misfit == "" and found.head.trunk.width >= SMALLEST_WIDTH
    assert budget <= getattr(found.budget, measure) <= MOST * budget


def test_a_family_that_fits_is_only_widened():
    """Components, layers and the linear base go only where nothing else fits."""
    head, size = sized(4)
    wide = widened(head, 100)
    found = match(head, size, size(wide).parameters, attrgetter("parameters"), 1024)
    assert found.head == wide
    small = match(head, size, 300, attrgetter("parameters"), 1024)
    assert small.misfit == "" and small.head.components < head.components


def test_no_net_fits_below_the_smallest_and_none_above_the_widest():
    head, size = sized(4)
    least = match(head, size, 20, attrgetter("parameters"), 64)
    assert least.misfit == "larger" and least.budget.parameters > 1.05 * 20
    assert match(head, size, 10**9, attrgetter("parameters"), 64).misfit == "smaller"


@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("kind", ["shared_frames", "mlp"])
def test_sizes_are_those_of_the_built_model(kind: str, num_layers: int):
    trunk = {"kind": kind, "num_layers": num_layers, "width": 11, "frame_width": 5}
    head = head_settings("gaussian_mixture", num_components=2, trunk=trunk)
    arrays = base(2, 4)
    model = build_conditional(head, arrays, WINDOW, scales(4), np.zeros(4), 0)
    assert size_on(lambda own: arrays, WINDOW, 4)(head) == model.budget()


def test_a_flow_has_no_trunk_to_match():
    with pytest.raises(ValueError, match="no trunk width"):
        match(head_settings("flow"), size_of(4, 1), 1000, attrgetter("flops"), 64)
