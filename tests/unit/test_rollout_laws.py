"""Closed moments of the next frame are those of the draws, and lose less than these."""

import copy
from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from engram_audio.densities.base import Batch
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.fit import train_head
from engram_audio.memory.fit import fit_lookup
from engram_audio.memory.folds import Candidate
from engram_audio.rollout.fit import build_model
from engram_audio.rollout.forecasts import marginals_of, moment_matched
from engram_audio.rollout.frame import frame_of, linear_density
from engram_audio.rollout.laws import step_law
from engram_audio.rollout.simulate import Settings, free_run
from engram_audio.training.loop import Callbacks
from tests.unit.memory_material import key_of, lookup
from tests.unit.prediction_material import World, head_settings
from tests.unit.rollout_material import (
    CPU,
    eval_starts,
    limits_of,
    method,
    small_recipe,
)


def head_of(kind: str, world: World, **changes: Any) -> nn.Module:
    """A head of another family, trained for a moment."""
    settings = head_settings(kind, num_components=2, **changes)
    return train_head(
        settings, small_recipe(), world.material, 1, "delta", 0, CPU, None, Callbacks()
    )[0]


def lookup_of(base: ConditionalDensity, world: World, **changes: Any) -> nn.Module:
    """A lookup with entries of its own on a base: half of the weight, wide spreads."""
    candidate = Candidate("base", base, [base, base])
    model = fit_lookup(
        lookup(may_switch_off=False, **changes), key_of(world.material), world.material, 1,
        [candidate], 0, CPU,
    ).model  # fmt: skip
    model.weights[:-1] = 0.5
    return model


@pytest.mark.parametrize(
    "name",
    ["head", "linear", "noise", "student_t", "low_rank", "lookup", "lookup_on_head", "target"],
)
def test_closed_laws_are_those_of_the_draws(name, world, head):
    """Mean and variance of the next frame: those of 20,000 draws, within 5 standard errors.

    The variance of draws of fourth moment m4 v^2 has a relative error of sqrt((m4 - 1) / n); 1.5
    times a Gaussian's is allowed (mixtures and light tails stay below).
    """
    settings = method("noise", running_level=0.1)
    model = {
        "student_t": lambda: head_of("student_t_mixture", world),
        "low_rank": lambda: head_of("low_rank_mixture", world, rank=1),
        "lookup": lambda: lookup_of(linear_density(world.material.linear_nulls), world),
        "lookup_on_head": lambda: lookup_of(copy.deepcopy(head), world),
        "target": lambda: lookup_of(
            linear_density(world.material.linear_nulls),
            world,
            value="target",
            weight="one",
            strengths=(0.5,),
        ),
        "head": lambda: copy.deepcopy(head),
        "linear": lambda: linear_density(world.material.linear_nulls),
        "noise": lambda: build_model(settings, frame_of(world.material), copy.deepcopy(head), 0),
    }[name]().eval()
    assert model.has_moments
    starts = eval_starts(world, count=5)
    newest = starts.history[:, -1]
    batch = Batch(starts.history, newest, newest, starts.speaker_mean)
    count = 20_000
    with torch.no_grad():
        mean, variance = step_law(model, batch)
        drawn = model.sample(batch, count, torch.Generator().manual_seed(0))
    drawn = drawn + newest if model.target == "delta" else drawn
    assert float(((drawn.mean(0) - mean).abs() / variance.sqrt()).max()) < 5 / count**0.5
    assert float((drawn.var(0) / variance - 1).abs().max()) < 5 * (2 / count) ** 0.5 * 1.5


def test_laws_lose_less_than_draws(world, head):
    """At horizon 1 the forecast of any number of paths is the density's own; later it is closer."""
    starts = eval_starts(world, count=200)
    limits = limits_of(world.material)
    reference = world.material.reference
    scales = (reference.frame_mean, reference.frame_sd, reference.delta_sd)
    marginals = marginals_of(*scales, torch.device("cpu"))
    errors = {}
    for name, law in (("laws", partial(step_law, head)), ("draws", None)):
        how = Settings(4, True, None, 4096, law)
        generator = torch.Generator().manual_seed(0)
        forecasts = [
            moment_matched(free_run(head, starts, how, limits, 16, generator), 4, marginals)
            for _ in range(2)
        ]
        gap = (forecasts[0].position.mean - forecasts[1].position.mean).square().mean((0, 2))
        errors[name] = gap
    assert float(errors["laws"][0]) < 1e-10
    assert bool((errors["laws"] < 0.8 * errors["draws"]).all())
