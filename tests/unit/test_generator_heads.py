"""Heads of generators: what they draw, what trains them, and that none claims nats falsely."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from engram_audio.generation.density import as_step_density
from engram_audio.generation.evaluation import Scope, frame_nll
from engram_audio.generation.flow_head import FlowHead, Velocity, normalised
from engram_audio.generation.head_config import FlowHeadSettings
from engram_audio.generation.heads import Head, energy_score
from engram_audio.generation.model import Generator
from engram_audio.generation.task import GeneratorTask
from engram_audio.latents.block import LatentBlock
from tests.unit.generator_material import HEADS, NUM_DIMS, arm, data, frames, linear_base, settings

CPU = torch.device("cpu")
SAMPLED = [kind for kind in HEADS if kind != "gaussian_mixture"]


def model_of(kind: str, is_stirred: bool = True, **changes: Any) -> Generator:
    return arm("S", settings(head={**HEADS[kind], **changes}), is_stirred=is_stirred)


def told(model: Generator, count: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    """Features, newest frames and next frames of some sequences."""
    x = frames(count, 12)
    with torch.no_grad():
        return model.features(x)[:, -2], model.recent(x)[:, -2], x[:, -1]


def test_the_energy_score_is_the_mean_over_all_pairs_of_different_draws():
    """By loops; with equal draws it is their distance from the truth."""
    drawn, true = torch.randn(5, 3, 2), torch.randn(3, 2)
    for place in range(3):
        own = drawn[:, place]
        near = np.mean([float((one - true[place]).norm()) for one in own])
        pairs = [(i, j) for i in range(5) for j in range(5) if i != j]
        apart = np.mean([float((own[i] - own[j]).norm()) for i, j in pairs])
        assert float(energy_score(drawn, true)[place]) == pytest.approx(near - apart / 2, rel=1e-5)
    equal = true + torch.tensor([3.0, 4.0])
    assert float(energy_score(equal.expand(4, 3, 2), true)[0]) == pytest.approx(5, rel=1e-5)


def test_the_energy_score_is_unbiased():
    """Draws and truth N(0, 1): 1 / sqrt(pi) on average, with two draws as with eight."""
    generator = torch.Generator().manual_seed(0)
    for count in (2, 8):
        drawn = torch.randn(count, 100_000, 1, generator=generator)
        found = energy_score(drawn, torch.randn(100_000, 1, generator=generator))
        error = 5 * float(found.std()) / 100_000**0.5
        assert float(found.mean()) == pytest.approx(math.pi**-0.5, abs=error)


@pytest.mark.parametrize("kind", HEADS)
def test_first_draws_are_the_law_of_the_linear_base(kind: str):
    """Before training: mean and covariance of the base, or a head has no spread to learn from."""
    model = model_of(kind, is_stirred=False)
    base = linear_base()
    with torch.no_grad():
        model.head.train()
        if kind == "gaussian_mixture":  # its components start apart
            model.head.output.weight.zero_()  # type: ignore[union-attr]
        features, recent, _ = told(model, 1)
        drawn = model.sample(features, recent, 4000, torch.Generator().manual_seed(1))[:, 0]
    wanted = np.asarray(base.scale) @ np.asarray(base.scale)
    found = np.cov(drawn.T.numpy())
    scale = np.sqrt(np.outer(np.diag(wanted), np.diag(wanted)))
    # the energy head's first spread is a draw of weights: variance 1 + O(1 / sqrt(noise dims))
    slack = {"energy": 6 * (2 / HEADS["energy"]["noise_dims"]) ** 0.5}.get(kind, 0.15)
    if kind != "gaussian_mixture":
        mean = model.head.predicted(recent)[0].detach()
        error = 5 * drawn.std(0) / 4000**0.5
        assert ((drawn.mean(0) - mean).abs() < error).all()
        assert (np.abs(found - wanted) / scale < slack).all()
    assert np.diag(found).min() > 0.05 * np.diag(wanted).min()


@pytest.mark.parametrize("kind", SAMPLED)
def test_temperature_scales_the_variance_of_the_noise(kind: str):
    """Where draws are linear in the noise, as at the start, a quarter halves their spread."""
    model = model_of(kind, is_stirred=False)
    features, recent, _ = told(model)

    def draws(temperature: float) -> Tensor:
        with torch.no_grad():
            generator = torch.Generator().manual_seed(3)
            return model.sample(features, recent, 64, generator, temperature)

    zero = draws(0.0)
    assert torch.allclose(2 * (draws(0.25) - zero), draws(1.0) - zero, atol=1e-4)
    assert float((draws(1.0) - zero).abs().mean()) > 0.05


@pytest.mark.parametrize("kind", SAMPLED)
def test_a_head_without_a_density_claims_no_nats(kind: str):
    """No log density, no moments; its score is the energy score of eight draws."""
    model = model_of(kind)
    features, recent, following = told(model)
    with pytest.raises(NotImplementedError, match="no exact density"):
        model.log_prob(features, recent, following)
    with pytest.raises(NotImplementedError, match="no moments"):
        model.head.moments(features, recent)
    density = as_step_density(model)
    assert not density.has_moments and density.is_mean_sampled
    torch.manual_seed(0)
    state = torch.random.get_rng_state()
    with torch.no_grad():
        score = model.score(features, recent, following)
        drawn = model.sample(features, recent, 8, torch.Generator().manual_seed(0))
        assert torch.equal(torch.random.get_rng_state(), state)
        assert torch.allclose(score, energy_score(drawn / model.sd, following / model.sd))
        assert torch.equal(score, model.score(features, recent, following))
    mixture = model_of("gaussian_mixture")
    law = told(mixture)
    assert torch.equal(mixture.score(*law), -mixture.log_prob(*law))


@pytest.mark.parametrize("kind", SAMPLED)
def test_validation_is_the_mean_score_and_draws_nothing_of_the_training(kind: str):
    """So that a resumed training meets the same random numbers."""
    work = GeneratorTask(model_of(kind), data(), data(4, seed=2), CPU)
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    work.model.eval()
    assert work.validate() == work.validate()
    assert torch.equal(torch.random.get_rng_state(), state)


def test_frames_of_an_utterance_are_scored_by_energy():
    """What the evaluation writes for such a head is the score that it was chosen on."""
    model, own = model_of("energy"), data(3)
    names = np.array(["a", "b", "c"])
    energy = np.ones(len(own.frames), np.float32)
    block = LatentBlock(own.frames.numpy(), energy, own.offsets.numpy(), names, names)
    found = torch.cat(list(frame_nll(model, lambda: iter([block]), Scope(4, 2, CPU))))
    assert len(found) == len(own.frames) - 3 * 4
    start, stop = own.offsets[:2].tolist()
    x = own.frames[start:stop].unsqueeze(0)
    with torch.no_grad():
        last = model.features(x)[:, -2], model.recent(x)[:, -2], x[:, -1]
        drawn = model.sample(last[0], last[1], 2000, torch.Generator().manual_seed(9))
        wanted = energy_score(drawn / model.sd, last[2] / model.sd)
    spread = float((drawn / model.sd).std(0).norm())  # of eight draws, about four SE of their mean
    assert float(found[stop - start - 5]) == pytest.approx(float(wanted), abs=4 * spread / 8**0.5)


class Exact(nn.Module):
    """The flow map from N(0, 1) to N(0, sd^2): x_t = x_s scale(t) / scale(s)."""

    def __init__(self, sd: float, power: float = 1.0) -> None:
        super().__init__()
        self.sd, self.power = sd, power

    def scale(self, t: Tensor) -> Tensor:
        return ((t * self.sd) ** 2 + (1 - t) ** 2).sqrt()

    def forward(self, s: Tensor, t: Tensor, x: Tensor, condition: Tensor) -> Tensor:
        del condition
        near = (t - s).abs() < 1e-9
        t_safe = torch.where(near, s + 1e-6, t)
        return self.power * x * (self.scale(t_safe) / self.scale(s) - 1) / (t_safe - s)


def flow(**changes: Any) -> FlowHead:
    head = model_of("flow", **changes).head.double()
    assert isinstance(head, FlowHead)
    for own in head.weight.parameters():
        nn.init.zeros_(own)
    return head


def times(count: int = 40) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(2)
    s, t = torch.rand(2, count, 1, generator=generator).double().sort(0).values
    data_, noise = torch.randn(2, count, NUM_DIMS, generator=generator).double()
    return s, t, data_, noise


def test_distillation_is_met_by_the_exact_flow_map_alone():
    """Its law is v + (t - s) dv/dt = u, along the flow from N(0, 1) to N(0, 4)."""
    head = flow()
    s, t, own, noise = times()
    told_ = torch.zeros(len(s), 1).double()
    losses = []
    for power in (1.0, 1.1):
        head.velocity = Exact(2.0, power)  # type: ignore[assignment]
        losses.append(float(head._distillation(s, t, own, noise, told_).detach().mean()))
    assert losses[0] < 1e-8 < 1e-3 < losses[1]


def test_matching_is_least_for_the_exact_velocity():
    """The mean of y - e at x_t; its loss is what of the pair x_t cannot tell."""
    head = flow()
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(50_000, 1, generator=generator).double()
    own = 2 * torch.randn(50_000, 1, generator=generator).double()
    t = torch.full_like(noise, 0.6)
    losses = []
    for power in (0.9, 1.0, 1.1):
        head.velocity = Exact(2.0, power)  # type: ignore[assignment]
        losses.append(float(head._matching(t, own, noise, own).detach().mean()))
    spread, mixed = 5.0, 0.36 * 4 + 0.16  # of y - e, and of x_t
    left = spread - (0.6 * 4 - 0.4) ** 2 / mixed
    assert losses[1] == pytest.approx(left, rel=0.05) and losses[1] < min(losses[0], losses[2])


def test_the_slope_in_time_is_differentiated_rightly():
    """Gradient of the distillation term against central differences, target weights held fixed."""
    torch.manual_seed(0)
    head = flow()
    s, t, own, noise = times(7)
    told_ = torch.randn(7, head.velocity.told.in_features).double()
    fixed = {name: value.clone() for name, value in head.fixed().items()}
    head.fixed = lambda: fixed  # type: ignore[method-assign]
    names = [name for name, _ in head.velocity.named_parameters()]
    loss = head._distillation(s, t, own, noise, told_).mean()
    gradients = torch.autograd.grad(loss, list(head.velocity.parameters()))
    for name, gradient in zip(names, gradients, strict=True):
        weight = head.velocity.get_parameter(name)
        direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(4)).double()
        with torch.no_grad():
            told_by = []
            for step in (1e-5, -1e-5):
                weight.add_(step * direction)
                told_by.append(float(head._distillation(s, t, own, noise, told_).detach().mean()))
                weight.sub_(step * direction)
        wanted = (told_by[0] - told_by[1]) / 2e-5
        assert float((gradient * direction).sum()) == pytest.approx(wanted, rel=1e-4, abs=1e-8), (
            name
        )


def test_a_norm_written_out_is_the_norm():
    """Mean 0 and variance 1 over the last axis, as torch's own layer norm."""
    x = torch.randn(4, 6)
    assert torch.allclose(normalised(x), nn.functional.layer_norm(x, (6,), eps=1e-6), atol=1e-6)


def test_many_steps_follow_the_flow_as_one_exact_step_does():
    """With the exact map one step and twenty end at the same frames."""
    ends = []
    for steps in (1, 20):
        model = model_of("flow", num_steps=steps)
        features, recent, _ = told(model)
        assert isinstance(model.head, FlowHead)
        model.head.velocity = Exact(2.0)  # type: ignore[assignment]
        with torch.no_grad():
            generator = torch.Generator().manual_seed(3)
            ends.append(model.sample(features, recent, 50, generator))
    assert torch.allclose(*ends, atol=1e-3)


def test_a_flow_that_is_not_distilled_takes_many_steps():
    """One step of plain flow matching is no flow."""
    values = {**HEADS["flow"], "distilled_share": 0.0, "matching_weight": 1.0}
    with pytest.raises(ValueError, match="num_steps: 2 steps of a flow that is not distilled"):
        FlowHeadSettings.model_validate(values)
    with pytest.raises(ValueError, match=r"matching_weight: 0\.75 leaves weight to distillation"):
        FlowHeadSettings.model_validate({**values, "num_steps": 16, "matching_weight": 0.75})
    FlowHeadSettings.model_validate({**values, "num_steps": 16})


def trained(head: Head, steps: int, rate: float) -> Head:
    """Train a head alone on residuals that are -1.5 or 1.5 in the first dimension."""
    optimizer = torch.optim.Adam(head.parameters(), rate)
    width = settings().width
    for step in range(steps):
        torch.manual_seed(step)
        features, recent = torch.zeros(64, width), torch.zeros(64, head.num_recent, NUM_DIMS)
        y = 0.3 * torch.randn(64, NUM_DIMS)
        y[:, 0] += 1.5 * torch.randint(0, 2, (64,)).mul(2).sub(1)
        following = head.predicted(recent) + head.base.unwhiten(y)
        optimizer.zero_grad()
        head.loss(features, recent, following.detach()).mean().backward()
        optimizer.step()
    return head


@pytest.mark.parametrize(("kind", "rate"), [("energy", 0.01), ("flow", 0.01)])
def test_training_finds_two_modes(kind: str, rate: float):
    """Draws leave the middle, where the first law has most: a regression would stay there."""
    torch.manual_seed(0)
    changes = {"width": 32, "num_steps": 1} if kind == "flow" else {"width": 32}
    head = trained(model_of(kind, is_stirred=False, **changes).head, 150, rate)
    features, recent = torch.zeros(1, settings().width), torch.zeros(1, head.num_recent, NUM_DIMS)
    with torch.no_grad():
        drawn = head.sample(features, recent, 2000, torch.Generator().manual_seed(0))
        y = head.base.whiten(drawn - head.predicted(recent))[:, 0, 0]
    assert float((y.abs() < 0.5).float().mean()) < 0.25  # .38 of a standard normal
    assert 0.2 < float((y > 0).float().mean()) < 0.8  # both modes, a half each at last
    assert 1.1 < float(y.std()) < 1.9
    assert Velocity(4, 3, 8, 1)(*[torch.zeros(2, 1)] * 2, torch.zeros(2, 3),
                                torch.zeros(2, 4)).abs().max() == 0  # fmt: skip
