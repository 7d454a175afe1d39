"""Heads against independent densities: torch.distributions, scipy, mpmath."""

import math
from typing import Any

import mpmath
import numpy as np
import pytest
import scipy.stats
import torch
from torch import distributions

from engram_audio.densities.direction import DirectionMagnitude
from engram_audio.densities.flow import ConditionalFlow
from engram_audio.densities.gaussian_mixture import GaussianMixture
from engram_audio.densities.heads import DensityHead, StandardNormal
from engram_audio.densities.low_rank_mixture import LowRankMixture
from engram_audio.densities.marginal_em import fit_mixture
from engram_audio.densities.student_t_mixture import StudentTMixture
from engram_audio.numerics.bessel import log_bessel_i, log_vmf_normalizer, mean_resultant_length

RANGE = (-7.0, 7.0)
# float32 sums of a few hundred terms of order one: 1e-7 each, growing like their number
TOLERANCE = 1e-4


def heads(num_dims: int) -> dict[str, DensityHead]:
    torch.manual_seed(0)
    return {
        "gaussian": GaussianMixture(num_dims, 3, RANGE),
        "student": StudentTMixture(num_dims, 3, RANGE),
        "product_student": StudentTMixture(num_dims, 3, RANGE, is_tail_shared=False),
        "low_rank": LowRankMixture(num_dims, 3, RANGE, rank=2),
        "direction": DirectionMagnitude(num_dims, 3, (-3.0, 1.0)),
        "flow": ConditionalFlow(num_dims, 1, 8, 4),
    }


def random_parameters(head: DensityHead, count: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    start = head.initial_parameters(generator)
    return start + 0.5 * torch.randn((count, len(start)), generator=generator)


def test_gaussian_mixture_is_torchs():
    """Log densities equal torch.distributions.MixtureSameFamily."""
    head = GaussianMixture(5, 3, RANGE)
    parameters, z = random_parameters(head, 7), torch.randn(7, 5)
    log_weights, means, log_scales, _ = head.split(parameters)
    expected = distributions.MixtureSameFamily(
        distributions.Categorical(logits=log_weights),
        distributions.Independent(distributions.Normal(means, log_scales.exp()), 1),
    )
    torch.testing.assert_close(
        head.log_prob(parameters, z), expected.log_prob(z), rtol=0, atol=1e-4
    )
    torch.testing.assert_close(head.mean(parameters), expected.mean, rtol=0, atol=1e-5)


@pytest.mark.parametrize("is_shared", [True, False])
@pytest.mark.parametrize("num_dims", [1, 8, 64, 512])
def test_a_student_head_starts_as_a_normal_at_any_dimension(num_dims: int, is_shared: bool):
    """It loses a thousandth of a nat on N(0, I), give or take .0007; 22 degrees lose 1.6 at 512."""
    head = StudentTMixture(num_dims, 1, RANGE, is_tail_shared=is_shared)
    generator = torch.Generator().manual_seed(0)
    start = head.initial_parameters(generator)
    z = torch.randn((4000, num_dims), generator=generator)
    normal = StandardNormal(num_dims).log_prob(torch.zeros(0), z)
    assert 0.0 < float((normal - head.log_prob(start, z)).double().mean()) + 0.002 < 0.007


@pytest.mark.parametrize("num_dims", [8, 64, 512])
def test_a_student_marginal_is_as_good_as_a_normal_one_on_normal_data(num_dims: int):
    """On held-out draws of N(0, I): .005 nats at most, where a grid up to 100 loses .5 at 512."""
    generator = np.random.default_rng(0)
    train, choice = (generator.standard_normal((1500, num_dims)) for _ in range(2))
    floor = np.full(num_dims, 1e-3)
    nll = [
        fit_mixture(train, choice, 1, floor, is_student, np.random.default_rng(1))[1]
        for is_student in (False, True)
    ]
    assert nll[1] - nll[0] < 0.005


@pytest.mark.parametrize("is_shared", [True, False])
def test_student_mixture_is_scipys(is_shared: bool):
    """Shared tails are multivariate t, separate tails a product of univariate t."""
    head = StudentTMixture(4, 2, RANGE, is_tail_shared=is_shared)
    parameters, z = random_parameters(head, 3), torch.randn(3, 4)
    log_weights, means, log_scales, raw = (part.double() for part in head.split(parameters))
    freedom = StudentTMixture.freedom(raw)
    for row in range(3):
        parts = []
        for k in range(2):
            mean, scale = means[row, k].numpy(), log_scales[row, k].exp().numpy()
            nu = float(freedom[row, k])
            if is_shared:
                law: Any = scipy.stats.multivariate_t
                value = law.logpdf(z[row].numpy(), mean, np.diag(scale**2), df=nu)
            else:
                value = scipy.stats.t.logpdf(z[row].numpy(), nu, mean, scale).sum()
            parts.append(float(log_weights[row, k]) + value)
        expected = np.logaddexp.reduce(parts)
        assert float(head.log_prob(parameters, z)[row]) == pytest.approx(expected, abs=TOLERANCE)


def test_low_rank_mixture_is_torchs():
    """Woodbury equals the explicit low-rank normal."""
    head = LowRankMixture(6, 2, RANGE, rank=3)
    parameters, z = random_parameters(head, 4), torch.randn(4, 6)
    log_weights, means, log_scales, rest = head.split(parameters)
    component = distributions.LowRankMultivariateNormal(
        means, rest.reshape(4, 2, 6, 3), (2 * log_scales).exp()
    )
    expected = torch.logsumexp(log_weights + component.log_prob(z.unsqueeze(1)), -1)
    torch.testing.assert_close(head.log_prob(parameters, z), expected, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("num_dims", [2, 3, 8, 32, 128, 512])
@pytest.mark.parametrize("kappa", [1e-3, 0.5, 7.0, 120.0, 3000.0])
def test_vmf_normaliser_is_mpmaths(num_dims: int, kappa: float):
    """The normaliser and its derivative agree with 40-digit Bessel functions in any dimension."""
    with mpmath.workdps(40):
        order = mpmath.mpf(num_dims) / 2 - 1
        bessel = mpmath.besseli(order, kappa)
        expected = (
            order * mpmath.log(kappa) - (order + 1) * mpmath.log(2 * mpmath.pi) - mpmath.log(bessel)
        )
        slope = -mpmath.besseli(order + 1, kappa) / bessel
    value = torch.tensor(kappa, dtype=torch.float64, requires_grad=True)
    result = log_vmf_normalizer(value, num_dims)
    result.backward()
    # Olver's expansion to 1/nu^4 above order 15: a relative 1e-7, on logs of up to 2000
    assert float(result.detach()) == pytest.approx(float(expected), rel=1e-7, abs=1e-7)
    assert value.grad is not None
    assert float(value.grad) == pytest.approx(float(slope), rel=1e-6)
    assert mean_resultant_length(num_dims, np.array(kappa)) == pytest.approx(
        -float(slope), rel=1e-6
    )


def test_bessel_does_not_underflow():
    """At order 255 and argument 0.1 I_nu is 1e-837; its logarithm is finite and right."""
    with mpmath.workdps(40):
        expected = float(mpmath.log(mpmath.besseli(255, mpmath.mpf("0.1"))))
    assert float(log_bessel_i(255.0, np.array(0.1))) == pytest.approx(expected, rel=1e-9)


def test_direction_density_is_vmf_times_lognormal():
    """One component equals scipy's von Mises-Fisher times log-normal over the polar Jacobian."""
    head = DirectionMagnitude(5, 1, (-3.0, 1.0))
    parameters, z = random_parameters(head, 1), torch.randn(1, 5)
    _, axes, kappa, log_mean, log_sd = (part.double() for part in head._split(parameters))
    radius = float(z.norm())
    axis = axes[0, 0].numpy() / np.linalg.norm(axes[0, 0].numpy())
    law: Any = scipy.stats.vonmises_fisher
    direction = law.logpdf((z[0] / radius).numpy(), axis, float(kappa))
    length = scipy.stats.lognorm.logpdf(
        radius, float(log_sd.exp()), scale=math.exp(float(log_mean))
    )
    expected = float(direction) + length - 4 * math.log(radius)
    assert float(head.log_prob(parameters, z)) == pytest.approx(expected, abs=TOLERANCE)


def test_a_flow_without_context_is_one_law_for_all_targets():
    """The marginal of a flow has no parameters: [B, 0] still says how many targets there are."""
    torch.manual_seed(0)
    head, z = ConditionalFlow(3, 1, 8, 0), torch.randn(5, 3)
    parameters = torch.zeros(5, 0)
    with torch.no_grad():
        together = head.log_prob(parameters, z)
        alone = torch.cat([head.log_prob(parameters[:1], row[None]) for row in z])
        candidates = head.log_prob(parameters.unsqueeze(1), z.expand(5, 5, 3))
    assert together.shape == (5,) and torch.allclose(together, alone, atol=1e-6)
    assert torch.allclose(candidates, together.expand(5, 5), atol=1e-6)
    assert head.mean(parameters).shape == (5, 3)


@pytest.mark.parametrize("name", sorted(heads(2)))
def test_density_integrates_to_one(name: str):
    """Importance sampling from a wide normal gives total mass 1 within five standard errors."""
    head = heads(2)[name]
    parameters = random_parameters(head, 1)
    proposal = distributions.Normal(0.0, 3.0)
    torch.manual_seed(1)
    z = proposal.sample((40_000, 2))
    with torch.no_grad():
        weight = torch.exp(head.log_prob(parameters, z) - proposal.log_prob(z).sum(-1)).double()
    error = float(weight.std()) / math.sqrt(len(weight))
    assert error < 0.05
    assert abs(float(weight.mean()) - 1) < 5 * error


@pytest.mark.parametrize("name", sorted(heads(3)))
def test_samples_follow_the_density(name: str):
    """The sample mean equals `mean`, and the mean log density of samples its own entropy twin.

    Five standard errors of 20,000 samples; the flow's mean has 64 samples of its own.
    """
    head = heads(3)[name]
    parameters = random_parameters(head, 1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        samples = head.sample(parameters, 20_000, generator)[:, 0]
        mean = head.mean(parameters)[0]
    count = 64 if name == "flow" else 20_000
    error = samples.std(0) * math.sqrt(1 / 20_000 + (1 / count if name == "flow" else 0))
    assert bool(((samples.mean(0) - mean).abs() < 5 * error).all())
    with torch.no_grad():
        first = head.log_prob(parameters, samples[:10_000])
        shifted = head.log_prob(parameters, samples[:10_000] + 0.3 * samples.std(0))
    assert float(first.mean()) > float(shifted.mean())  # Gibbs: the own law scores best


@pytest.mark.parametrize("name", [*sorted(heads(3)), "normal"])
def test_samples_come_from_the_generator_that_is_given(name: str):
    """Same seed, same samples, whatever was drawn elsewhere; another seed gives others."""
    head = (heads(3) | {"normal": StandardNormal(3)})[name]
    start = torch.zeros((2, 0)) if name == "normal" else random_parameters(head, 2)
    first, again, other = (
        head.sample(start, 4, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("name", sorted(heads(3)))
def test_candidates_broadcast(name: str):
    """Scoring N candidates at once equals scoring them one by one."""
    head = heads(3)[name]
    parameters, z = random_parameters(head, 4), torch.randn(4, 5, 3)
    with torch.no_grad():
        together = head.log_prob(parameters.unsqueeze(1), z)
        single = torch.stack([head.log_prob(parameters, z[:, n]) for n in range(5)], 1)
    torch.testing.assert_close(together, single, rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["gaussian", "student", "low_rank"])
def test_training_starts_near_the_standard_normal(name: str):
    """A mixture's start costs at most 0.005 nats per dimension against N(0, I)."""
    head, num_dims = heads(16)[name], 16
    parameters = head.initial_parameters(torch.Generator().manual_seed(0)).unsqueeze(0)
    z = torch.randn(4000, num_dims, generator=torch.Generator().manual_seed(1))
    loss = StandardNormal(num_dims).log_prob(parameters, z) - head.log_prob(parameters, z)
    assert float(loss.mean()) < 0.005 * num_dims


def test_scale_floor_holds():
    """No scale goes below the dequantisation floor, whatever the network says."""
    head = GaussianMixture(3, 2, RANGE, torch.log(torch.tensor([0.1, 0.2, 0.3])))
    parameters = torch.full((1, head.num_parameters), -50.0)
    _, _, log_scales, _ = head.split(parameters)
    torch.testing.assert_close(log_scales[0, 0].exp(), torch.tensor([0.1, 0.2, 0.3]))
