"""A generator as a density that takes steps: an exact law goes through it unchanged."""

from typing import Any

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from engram_audio.densities.base import Batch
from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.densities.factory import build_gaussian
from engram_audio.generation.arms import build_arm
from engram_audio.generation.density import as_step_density
from engram_audio.generation.head import MixtureHead
from engram_audio.generation.model import Generator
from engram_audio.memory.ngrams import foreign_contexts
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.simulate import Limits, Settings, free_run
from tests.unit.generator_material import NUM_DIMS, arm, dimensions, insertion, key, settings

DECAY = np.array([[0.6, 0.2, 0.0], [0.0, 0.5, 0.1], [-0.1, 0.0, 0.7]])
ROOT = np.array([[1.0, 0.2, 0.0], [0.2, 0.8, 0.1], [0.0, 0.1, 0.5]])


def mixture(model: Generator) -> MixtureHead:
    assert isinstance(model.head, MixtureHead)
    return model.head


def exact(target: str) -> tuple[Generator, BaseArrays]:
    """A generator that knows x_t = x_{t-1} A + ROOT e: a linear base under N(0, I)."""
    zeros = np.zeros(NUM_DIMS)
    weight = DECAY - (np.eye(NUM_DIMS) if target == "delta" else 0)
    base = BaseArrays(target, zeros, zeros, weight, zeros, ROOT)
    generator = torch.Generator().manual_seed(0)
    model = build_arm("SM", settings(), insertion(), base, key(), dimensions(), generator)
    with torch.no_grad():
        mixture(model).output.weight.zero_()
        mixture(model).output.bias.zero_()
    return model, base


def contexts(count: int = 20, length: int = 6) -> Batch:
    drawn = torch.randn(count, length + 1, NUM_DIMS, generator=torch.Generator().manual_seed(1))
    return Batch(drawn[:, :-1], drawn[:, -2], drawn[:, -1], torch.zeros(count, NUM_DIMS))


@pytest.mark.parametrize("target", ["position", "delta"])
@torch.no_grad()
def test_an_exact_law_goes_through_unchanged(target: str):
    """Log densities, means, variances and draws are those of the law, for either target."""
    model, base = exact(target)
    density, batch = as_step_density(model), contexts()
    mean = batch.previous.numpy() @ DECAY
    covariance: Any = ROOT @ ROOT
    law = [multivariate_normal(own, covariance) for own in mean]
    wanted = [own.logpdf(x) for own, x in zip(law, batch.current.numpy(), strict=True)]
    assert density.target == "position"
    assert density.log_prob(batch).numpy() == pytest.approx(np.array(wanted), abs=1e-4)
    assert density.mean(batch).numpy() == pytest.approx(mean, abs=1e-5)
    found, variance = density.moments(batch)
    assert found.numpy() == pytest.approx(mean, abs=1e-5)
    assert variance.numpy() == pytest.approx(np.tile(np.diag(ROOT @ ROOT), (20, 1)), abs=1e-5)
    score, again = density.log_prob_and_mean(batch)
    assert torch.equal(score, density.log_prob(batch)) and torch.equal(again, density.mean(batch))
    # at lag 1 both targets are one event, and the linear null itself is the reference
    assert torch.allclose(score, build_gaussian(base).log_prob(batch), atol=1e-4)
    drawn = density.sample(batch, 4000, torch.Generator().manual_seed(2)) - density.mean(batch)
    spread = np.cov(drawn.flatten(0, 1).T.numpy())
    error = 5 * (2 / drawn[..., 0].numel()) ** 0.5 * np.diag(ROOT @ ROOT).max()
    assert spread == pytest.approx(covariance, abs=error)


def test_an_exact_law_runs_free_as_the_world_does():
    """Variance after h steps from one place is sum_i A'^i S A^i, in every direction."""
    model, _ = exact("position")
    horizon, samples = 4, 2000
    history = torch.zeros(1, 6, NUM_DIMS)
    future = torch.zeros(1, horizon, NUM_DIMS)
    names = np.array(["u"])
    starts = Starts(
        history, future, torch.tensor([horizon]), torch.zeros(1, NUM_DIMS), names, names,
        np.array([6]),
    )  # fmt: skip
    limits = Limits(torch.zeros(NUM_DIMS), torch.ones(NUM_DIMS), 100.0)
    run = free_run(
        as_step_density(model), starts, Settings(horizon, True, None, 4096), limits, samples,
        torch.Generator().manual_seed(0),
    )  # fmt: skip
    wanted, power = np.zeros((NUM_DIMS, NUM_DIMS)), np.eye(NUM_DIMS)
    for step in range(horizon):
        wanted = wanted + power.T @ ROOT @ ROOT @ power
        power = power @ DECAY
        found = np.cov(run.states[:, 0, step].T.numpy())
        error = 5 * (2 / samples) ** 0.5 * np.diag(wanted).max()
        assert found == pytest.approx(wanted, abs=error), step


@torch.no_grad()
def test_a_component_that_lets_go_of_the_prediction_forgets_the_frames():
    """At release 1 the newest frames tell nothing beyond the features; at 0 the base stands."""
    head, generator = mixture(arm("S")), torch.Generator().manual_seed(3)
    features = torch.randn(7, settings().width, generator=generator)
    one, other = torch.randn(2, 7, head.num_recent, NUM_DIMS, generator=generator)
    following = torch.randn(7, NUM_DIMS, generator=generator)

    def seen(recent: torch.Tensor) -> list[torch.Tensor]:
        drawn = head.sample(features, recent, 4, torch.Generator().manual_seed(5))
        moments = head.moments(features, recent)
        return [head.log_prob(features, recent, following), head.mean(features, recent), drawn,
                *moments]  # fmt: skip

    head.release.weight.zero_()
    head.release.bias.fill_(1.0)
    for left, right in zip(seen(one), seen(other), strict=True):
        assert torch.allclose(left, right, atol=1e-4)
    head.release.bias.zero_()
    shift = head.predicted(one) - head.predicted(other)
    assert torch.allclose(head.mean(features, one) - head.mean(features, other), shift, atol=1e-5)
    assert shift.abs().max() > 0.1


@torch.no_grad()
def test_draws_follow_the_law_that_is_scored():
    """Each component lets go as much as the features tell: moments of draws are the closed ones."""
    head, generator = mixture(arm("S")), torch.Generator().manual_seed(3)
    features = torch.randn(1, settings().width, generator=generator)
    recent = torch.randn(1, head.num_recent, NUM_DIMS, generator=generator)
    assert head.release(features).std() > 0.1
    count = 20_000
    drawn = head.sample(features, recent, count, generator)[:, 0]
    mean, variance = head.moments(features, recent)
    sd = variance[0].sqrt()
    assert torch.allclose(mean, head.mean(features, recent), atol=1e-5)
    assert ((drawn.mean(0) - mean[0]).abs() < 5 * sd / count**0.5).all()
    fourth = ((drawn - mean[0]) ** 4).mean(0)
    error = 5 * ((fourth - variance[0] ** 2) / count).sqrt()
    assert ((drawn.var(0) - variance[0]).abs() < error).all()
    # what is scored integrates to one under an even wider Gaussian
    wide = torch.distributions.Normal(mean[0], 2 * sd)
    x = wide.sample((count,))
    log = head.log_prob(features.expand(count, -1), recent.expand(count, -1, -1), x)
    weights = (log - wide.log_prob(x).sum(-1)).exp()
    assert abs(float(weights.mean()) - 1) < 5 * float(weights.std()) / count**0.5
    moved = (weights.unsqueeze(-1) * (x - mean[0])).mean(0)
    error = 5 * (weights.unsqueeze(-1) * (x - mean[0])).std(0) / count**0.5
    assert (moved.abs() < error).all()


@torch.no_grad()
def test_a_foreign_arm_reads_the_codes_of_other_contexts():
    """Of a batch, as the memory stage shuffles its keys; other arms read their own."""
    batch = contexts()
    for name in ("SM", "SMx"):
        model = arm(name)
        density = as_step_density(model)
        read = foreign_contexts(batch.context) if name == "SMx" else batch.context
        features = model.features(batch.context, model.codes(read))[:, -1]
        last = model.recent(batch.context)[:, -1]
        assert torch.equal(density.log_prob(batch), model.log_prob(features, last, batch.current))
        gate = density.gate(batch)
        assert gate is not None and gate.shape == (20,) and ((gate > 0) & (gate < 1)).all()
    assert as_step_density(arm("S")).gate(batch) is None
