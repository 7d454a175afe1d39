"""A denoising guard, on frames that lie along a line in four dimensions."""

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

from engram_audio.rollout.corrector import Corrector, fit_corrector
from engram_audio.rollout.method_config import CorrectorGuard

ACROSS = 0.02  # SD of the frames off the line, where that along each dimension is 1
MEAN, SD = np.array([1.0, -2.0, 0.5, 3.0]), np.array([2.0, 0.5, 1.0, 4.0])
SETTINGS = CorrectorGuard(
    kind="corrector", width=32, num_steps=400, maximum_level=1.0, num_passes=1, quantile=0.95,
    num_attempts=2,
)  # fmt: skip


def line(count: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    along = rng.normal(size=(count, 1)) + ACROSS * rng.normal(size=(count, 4))
    return along * SD + MEAN


@functools.cache
def guard() -> Corrector:
    return fit_corrector(SETTINGS, line(4000, 0), line(1000, 1), MEAN, SD, 0)


def off(frames: Tensor) -> Tensor:
    """Distance from the line of frames, in SD."""
    z = guard().scaled(frames)
    return (z - z.mean(-1, keepdim=True)).norm(dim=-1)


def moved_off(distance: float) -> tuple[Tensor, Tensor]:
    """True frames, and the same ones moved off the line by a distance in SD."""
    true = torch.from_numpy(line(500, 2)).float()
    across = torch.tensor([1.0, -1.0, 0.0, 0.0]) / 2**0.5
    return true, true + distance * across * torch.from_numpy(SD).float()


@pytest.mark.parametrize("distance", [0.3, 0.6, 1.0])
def test_it_moves_frames_back_onto_the_line_where_they_were(distance: float):
    """The posterior mean keeps a share s^2 / (s^2 + level^2) of the way off, under .005 here.

    Along the line it gives up level^2 / (1 + level^2) of a frame's distance from the mean, and the
    level that it believes is at most `distance`. The rest of the bars is the network's own error.
    """
    true, wrong = moved_off(distance)
    found = guard().project(wrong)
    print(distance, float(off(found).median()))
    assert float(off(found).median()) < 0.2 * distance
    z, own = guard().scaled(found).mean(-1), guard().scaled(true).mean(-1)
    slope = float((z * own).sum() / own.square().sum())
    assert 1 / (1 + distance**2) - 0.1 < slope < 1.1


def test_true_frames_are_inside_and_wrong_ones_are_not():
    """A share `quantile` of new true frames is kept, within five binomial errors."""
    own = torch.from_numpy(line(2000, 3)).float()
    kept = guard().keeps(own, torch.Generator()).double().mean()
    error = (0.95 * 0.05 * (1 / 2000 + 1 / 1000)) ** 0.5  # of both samples
    assert abs(float(kept) - 0.95) < 5 * error
    for distance in (0.6, 1.0, 5.0):
        assert guard().keeps(moved_off(distance)[1], torch.Generator()).double().mean() < 0.05


def test_what_it_cannot_mend_goes_to_a_train_frame():
    """Frames far away, and what is no number, end near the line and are finite."""
    wild = torch.tensor([[float("nan")] * 4, [1e9, -1e9, 0.0, 5.0], [float("inf")] * 4])
    assert not guard().keeps(wild, torch.Generator()).any()
    found = guard().project(wild)
    assert torch.isfinite(found).all()
    assert (off(found) < 0.5).all()


def test_a_seed_makes_the_same_guard():
    """Bit for bit, whatever was drawn before; another seed makes another."""
    torch.manual_seed(99)
    short = SETTINGS.model_copy(update={"num_steps": 5})
    one, same, other = (
        fit_corrector(short, line(300, 0), line(100, 1), MEAN, SD, seed) for seed in (1, 1, 2)
    )
    states = moved_off(0.5)[1]
    assert torch.equal(one.project(states), same.project(states))
    assert not torch.equal(one.network[0].weight, other.network[0].weight)  # type: ignore[arg-type]
