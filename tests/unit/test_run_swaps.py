"""Codes that SM reads along free runs in place of its own."""

from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from engram_audio.densities.density import Density
from engram_audio.generation.density import as_step_density
from engram_audio.generation.model import Generator
from engram_audio.generation.names import DEALT, NEAREST, PREVIOUS, RUN_SWAPS
from engram_audio.generation.run_swaps import Nearest, swapped_density
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.setup import ScoringSetup
from engram_audio.rollout.simulate import Limits, Settings, free_run
from tests.unit.generator_material import NUM_DIMS, arm, frames, key

SD = torch.tensor([1.0, 2.0, 0.5])
WINDOW = 6


class Setup:
    """As much of a `ScoringSetup` as swaps read: train frames, limits and random numbers."""

    def __init__(self, support: Tensor) -> None:
        self.support, self.limits = support, Limits(torch.zeros(NUM_DIMS), SD, 1e9)

    def generator(self, *names: int) -> torch.Generator:
        return torch.Generator().manual_seed(sum(names))


def setup(support: Tensor) -> ScoringSetup:
    return cast(ScoringSetup, Setup(support))


def read(model: Generator, swap: str, context: Tensor, support: Tensor) -> Tensor:
    """The codes that a swapped density gives its generator."""
    codes = swapped_density(model, swap, setup(support))._codes(context)
    assert codes is not None
    return codes


@pytest.mark.parametrize("state_frames", [1, 3])
def test_swapped_codes(state_frames: int):
    """The nearest train frame's; those of the frame before; all codes, dealt anew."""
    model = arm("SM", of=key(state_frames=state_frames))
    context = frames(5, WINDOW)
    own, whole = model.codes(context), state_frames - 1
    train = context.flatten(0, 1)[torch.randperm(5 * WINDOW)]
    assert torch.equal(read(model, NEAREST, context, train), own)
    late = read(model, PREVIOUS, context, train)
    assert torch.equal(late[:, 1:], own[:, :-1]) and (late[:, 0] == model.key.num_codes).all()
    dealt = read(model, DEALT, context, train)
    assert torch.equal(dealt.flatten().sort().values, own.flatten().sort().values)
    assert torch.equal(dealt[:, :whole], own[:, :whole]) and not torch.equal(dealt, own)


def test_the_nearest_frame_is_nearest_in_train_sd():
    """A dimension of large SD counts less."""
    model = arm("SM")
    train = torch.tensor([[0.0, 1.5, 0.0], [0.9, 0.0, 0.0]])
    found = Nearest(model, setup(train))._nearest(torch.zeros(1, 1, NUM_DIMS))
    assert torch.equal(found[0, 0], train[0])  # 1.5 / 2 is less than .9 / 1


def test_a_run_looks_up_its_newest_frame_alone():
    """Codes found step by step are those found at once; other contexts begin anew."""
    model, train = arm("SM"), frames(1, 40, seed=3)[0]
    path, reader = frames(4, WINDOW + 5), Nearest(model, setup(train))
    counts: list[int] = []
    inner = reader._nearest
    cast(Any, reader)._nearest = lambda own: counts.append(own.shape[1]) or inner(own)
    for step in range(5):
        context = path[:, step : step + WINDOW]
        assert torch.equal(reader(context), Nearest(model, setup(train))(context))
    assert counts == [WINDOW, 1, 1, 1, 1]
    assert torch.equal(reader(path[:2, :WINDOW]), Nearest(model, setup(train))(path[:2, :WINDOW]))


def test_runs_by_other_codes_differ_and_repeat():
    """Under the same draws of frames each swap changes the run, and again in the same way."""
    model, history = arm("SM"), frames(6, WINDOW)
    names, numbers = np.array(["u"] * 6), np.full(6, WINDOW)
    still = torch.zeros(6, 4, NUM_DIMS)
    starts = Starts(history, still, torch.full((6,), 4), still[:, 0], names, names, numbers)
    how = Settings(4, True, None, 100)
    train = frames(1, 30, seed=5)[0]

    def run(density: Density) -> Tensor:
        generator = torch.Generator().manual_seed(2)
        limits = setup(train).limits
        return free_run(density, starts, how, limits, 1, generator).states[0]

    own = run(as_step_density(model))
    for swap in RUN_SWAPS:
        found = [run(swapped_density(model, swap, setup(train))) for _ in range(2)]
        assert torch.equal(found[0], found[1]) and not torch.equal(found[0], own), swap
