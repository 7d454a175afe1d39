"""Gradients through samples: those of the expectation, also where a sample jumps.

Every estimate is a mean over independent rows, its error their standard error. Five of them are
exceeded once in two million comparisons.
"""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from engram_audio.densities.base import LinearBase
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.density import ConditionalDensity
from engram_audio.densities.direction import DirectionMagnitude
from engram_audio.densities.gaussian_mixture import GaussianMixture, Mixture
from engram_audio.densities.heads import DensityHead
from engram_audio.densities.low_rank_mixture import LowRankMixture
from engram_audio.densities.reference import InputScales
from engram_audio.densities.student_t_mixture import StudentTMixture
from engram_audio.densities.trunks import FreeParameters
from engram_audio.factorizer.jumps import jump_gradient
from engram_audio.rollout.energy import EnergyTask, path_distances
from engram_audio.rollout.method_config import EnergyMethod
from tests.unit.rollout_material import method

CPU = torch.device("cpu")
RANGE = (-7.0, 7.0)
ERRORS = 5.0
HEADS: dict[str, DensityHead] = {
    "gaussian": GaussianMixture(3, 2, RANGE),
    "student_t": StudentTMixture(3, 2, RANGE),
    "student_t_product": StudentTMixture(3, 2, RANGE, is_tail_shared=False),
    "low_rank": LowRankMixture(3, 2, RANGE, rank=1),
    "direction": DirectionMagnitude(3, 2, RANGE),
}


def some_parameters(name: str, head: DensityHead) -> Tensor:
    """Unequal weights, means apart, and tails of about ten degrees of freedom."""
    parameters = 0.4 * torch.randn(head.num_parameters, generator=torch.Generator().manual_seed(3))
    parameters[0] += 0.7
    if name.startswith("student_t"):
        parameters[-2:] = 2.1
    if name == "direction":
        parameters[-2:] = -1.0  # of the magnitude's log SD
    return parameters


def expectation(head: DensityHead, parameters: Tensor) -> Tensor:
    """E[x_1 + |x|^2] in closed form, of parameters [P]."""
    first = head.mean(parameters.unsqueeze(0))[0, 0]
    if isinstance(head, DirectionMagnitude):
        log_weights, _, _, log_mean, log_sd = head._split(parameters)
        return first + (log_weights.exp() * torch.exp(2 * log_mean + 2 * (2 * log_sd).exp())).sum()
    assert isinstance(head, Mixture)
    log_weights, means, log_scales, rest = head.split(parameters)
    squares = means.square() + head.variances(log_scales, rest)
    if head.rank:
        squares = squares + head.factors(rest.unsqueeze(0))[0].square().sum(-1)
    return first + (log_weights.exp() * squares.sum(-1)).sum()


def finite_differences(head: DensityHead, parameters: Tensor, step: float = 1e-4) -> Tensor:
    wide, found = parameters.double(), []
    for number in range(len(wide)):
        moved = torch.zeros_like(wide)
        moved[number] = step
        high, low = expectation(head, wide + moved), expectation(head, wide - moved)
        found.append((high - low) / (2 * step))
    return torch.stack(found)


@pytest.mark.parametrize("name", HEADS)
def test_the_gradient_of_draws_is_that_of_the_expectation(name: str):
    head = HEADS[name]
    parameters = some_parameters(name, head)
    exact = finite_differences(head, parameters)
    rows = parameters.repeat(100, 1).requires_grad_()
    values, log_choice = head.draw(rows, 600, torch.Generator().manual_seed(5))
    score = values[..., 0] + values.square().sum(-1)
    centred = score - expectation(head, parameters)
    (score + centred.detach() * log_choice).mean(0).sum().backward()
    assert rows.grad is not None
    error = rows.grad.std(0) / len(rows) ** 0.5
    assert ((rows.grad.mean(0) - exact).abs() < ERRORS * error + 1e-3).all()
    assert (exact.abs() > 10 * error).sum() > head.num_parameters / 2  # the law has been tested


def mean_distance(mean: Tensor, sd: Tensor) -> Tensor:
    """E|N(mean, sd^2)|."""
    scaled = mean / sd
    return sd * math.sqrt(2 / math.pi) * torch.exp(-0.5 * scaled**2) + mean * torch.erf(
        scaled / math.sqrt(2)
    )


def exact_energy(parameters: Tensor, truth: float, share: float) -> Tensor:
    """E|X - y| - share E|X - X'| / 2 of a mixture of two Gaussians on a line."""
    weights, means, sds = parameters[:2].softmax(0), parameters[2:4], parameters[4:].exp()
    to_truth = (weights * mean_distance(means - truth, sds)).sum()
    apart = mean_distance(means[:, None] - means, (sds[:, None] ** 2 + sds**2).sqrt())
    return to_truth - 0.5 * share * (weights[:, None] * weights * apart).sum()


@pytest.mark.parametrize("num_samples", [2, 3, 4])
def test_energy_tuning_moves_weights_means_and_scales_as_the_exact_score_does(num_samples: int):
    """One step on a line; the exact expectation is differentiated by finite differences."""
    start = torch.tensor([0.4, -0.2, -1.0, 1.5, -0.3, 0.2])
    settings = method("energy", num_samples=num_samples, fairness=0.9, teacher_weight=0.0)
    assert isinstance(settings, EnergyMethod)
    share = 0.9 + 0.1 * (num_samples - 1) / num_samples
    wide = start.double()
    exact = torch.stack([
        (exact_energy(wide + move, 0.8, share) - exact_energy(wide - move, 0.8, share)) / 2e-4
        for move in 1e-4 * torch.eye(6, dtype=torch.float64)
    ])  # fmt: skip
    zero = np.zeros(1)
    arrays = BaseArrays("position", zero, zero, np.zeros((0, 1)), zero, np.eye(1))
    model = ConditionalDensity(
        LinearBase(arrays), FreeParameters(start), GaussianMixture(1, 2, RANGE)
    )
    scales = InputScales(zero, np.ones(1), np.ones(1))
    task = EnergyTask(settings, model, 1, (None, None), scales, 1, CPU)
    frames = torch.tensor([0.3, 0.8]).reshape(1, 2, 1).repeat(800, 1, 1)
    found = []
    for seed in range(60):
        model.zero_grad()
        torch.manual_seed(seed)
        task.path_loss(frames, torch.zeros(800, 1)).backward()
        found.append(next(model.parameters()).grad)
    gradients = torch.stack(found)  # type: ignore[arg-type]
    error = gradients.std(0) / len(gradients) ** 0.5
    assert ((gradients.mean(0) - exact).abs() < ERRORS * error).all()
    assert (exact.abs() > 2 * ERRORS * error).all()  # an absent part would be seen


def test_the_score_of_paths_is_the_mean_over_samples_and_pairs():
    paths = torch.randn((5, 2, 3), generator=torch.Generator().manual_seed(1))
    truth = torch.zeros(2, 3)
    pairs = [(paths[i] - paths[j]).norm(dim=-1) for i in range(5) for j in range(i)]
    expected = paths.norm(dim=-1).mean(0) - 0.5 * 0.9 * torch.stack(pairs).mean(0)
    score = path_distances(paths, truth).score(0.9) * 3**0.5
    assert score == pytest.approx(expected)


def test_what_the_others_let_expect_does_not_look_at_the_sample():
    """Moving one sample far away changes its own part by what it adds, never its baseline."""
    generator = torch.Generator().manual_seed(2)
    for count in (2, 3, 4, 5):
        paths, truth = torch.randn((count, 1, 3), generator=generator), torch.zeros(1, 3)
        moved = paths.clone()
        moved[0] += 5.0
        before, after = path_distances(paths, truth), path_distances(moved, truth)
        added = [
            (found.truth[0] - 0.8 * found.others[0] / (count - 1)) / count
            for found in (before, after)
        ]
        change = after.advantages(0.8)[0] - before.advantages(0.8)[0]
        assert change == pytest.approx(added[1] - added[0], abs=1e-5)


def test_jumps_have_the_gradient_of_how_often_they_are_made():
    """A loss of 3 where a coin shows heads: d E / d logit = 3 p (1 - p), value 0."""
    logit = torch.zeros(2000, 1, requires_grad=True)
    is_heads = torch.arange(2000) % 2 == 0
    log_choice = torch.nn.functional.logsigmoid(torch.where(is_heads[:, None], logit, -logit))
    losses = torch.where(is_heads[:, None], 3.0, 0.0) / 2000
    added = jump_gradient(losses, log_choice)
    added.backward()
    assert float(added.detach()) == 0.0
    assert logit.grad is not None
    assert float(logit.grad.sum()) == pytest.approx(0.75, rel=1e-3)
