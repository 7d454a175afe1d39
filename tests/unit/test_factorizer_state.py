"""Rate accounting: what z_dyn may see, what it pays, and that its scale buys nothing."""

import pytest
import torch

from engram_audio.factorizer.densities import Posterior, divergence, fused
from engram_audio.factorizer.whitening import Whitening
from tests.unit.factorizer_material import small_model


@pytest.mark.parametrize(
    ("rate", "first_changed"), [("charged", 6), ("free", 6), ("strictly_past", 7)]
)
def test_what_z_dyn_sees(rate: str, first_changed: int):
    """Changing x_6 changes z_dyn from frame 6 on, or, made of the past alone, from frame 7 on."""
    model = small_model(state__rate=rate).eval()
    frames = torch.randn(1, 10, 4)
    changed = frames.clone()
    changed[:, 6] += 3
    first, second = (model.states(part, is_sampled=False).steps for part in (frames, changed))
    differs = (first - second).abs().amax(-1)[0] > 1e-6
    assert differs.nonzero()[0].item() == first_changed


def test_z_dyn_of_a_slower_rate_sees_its_first_frame_only():
    model = small_model(state__stride_frames=4).eval()
    frames = torch.randn(1, 16, 4)
    changed = frames.clone()
    changed[:, 5] += 3  # inside step 1, whose z_dyn may see frame 4
    first, second = (model.states(part, is_sampled=False).steps for part in (frames, changed))
    assert ((first - second).abs().amax(-1)[0] > 1e-6).tolist() == [False, False, True, True]


def test_whitening_gives_unit_covariance_and_forgets_the_scale():
    torch.manual_seed(0)
    raw = torch.randn(5000, 3) @ torch.randn(3, 3) + 2
    whitening = Whitening(3, True).train()
    white = whitening(raw, None).apply(raw)
    torch.testing.assert_close(torch.cov(white.T, correction=0), torch.eye(3), atol=1e-3, rtol=0)
    small = whitening(1e-3 * raw, None).apply(1e-3 * raw)
    torch.testing.assert_close(small, white, atol=1e-3, rtol=1e-3)


def test_whitening_counts_posterior_noise():
    """A dimension of pure noise keeps a mean near 0 instead of magnified rounding."""
    torch.manual_seed(0)
    raw = torch.stack([torch.randn(5000), 1e-4 * torch.randn(5000)], 1)
    units = Whitening(2, True).train()(raw, torch.tensor([[0.01, 1.0]]).expand(5000, -1))
    assert units.apply(raw)[:, 1].std() < 1e-3
    assert units.apply(raw)[:, 0].std() == pytest.approx(1, abs=0.01)


def test_a_smaller_z_dyn_gains_with_fixed_sigma_only_where_it_is_not_whitened():
    """Dynamics NLL under sigma = 1: shrinking helps unwhitened, and changes nothing whitened."""

    def nll(is_whitened: bool, scale: float) -> float:
        model = small_model(
            state__rate="free",
            state__is_whitened=is_whitened,
            state__linear_context_frames=0,
            dynamics__fixed_sigma=1.0,
        ).train()
        with torch.no_grad():
            model.encoder.output.weight.mul_(scale)
            model.encoder.output.bias.mul_(scale)
        torch.manual_seed(0)
        steps = model.states(torch.randn(8, 50, 4)).steps
        scores = model.dynamics.density.head.log_prob(model.dynamics.parameters_of(steps), steps)
        return float(-scores.mean().detach())

    assert nll(False, 0.1) < nll(False, 10.0) - 1.0
    assert nll(True, 0.1) == pytest.approx(nll(True, 10.0), abs=0.01)


def test_state_divergence_is_the_mean_of_its_samples():
    """Closed form against 400 samples of each of 48 steps, 4 standard errors."""
    states = (model := small_model().train()).states(torch.randn(4, 12, 4))
    density = model.dynamics.density
    with torch.no_grad():
        exact = divergence(states.posterior, states.steps, density, states.parameters).sum(-1)
        samples = []
        for _ in range(400):
            drawn = states.posterior.sample()
            prior = density.head.log_prob(states.parameters, drawn)
            samples.append(states.posterior.log_prob(drawn).sum(-1) - prior)
        stacked = torch.stack(samples)
    error = float(stacked.mean() - exact.mean())
    assert abs(error) < 4 * float(stacked.std()) / stacked.numel() ** 0.5


def test_fusing_adds_precisions():
    """N(1, 1) times N(3, 1) is N(2, 1/2); weightless evidence leaves the prior."""
    ones = torch.ones(1)
    found = fused(Posterior(ones, 0 * ones), 3 * ones, ones)
    assert found.log_sd is not None
    assert found.mean.item() == pytest.approx(2)
    assert found.log_sd.exp().square().item() == pytest.approx(0.5)
    vague = fused(Posterior(ones, 10 * ones), 3 * ones, ones)
    assert vague.mean.item() == pytest.approx(3, abs=1e-6)


@pytest.mark.parametrize("density", ["gaussian", "mixture", "student_t"])
def test_moments_are_those_of_samples(density: str):
    """100,000 samples, 5 standard errors of mean; variance within 5 %."""
    model = small_model(dynamics__density=density, dynamics__num_components=3)
    dynamics = model.dynamics.density
    torch.manual_seed(0)
    parameters = dynamics.parameters_of(torch.randn(1, 10))
    drawn = dynamics.head.sample(parameters, 100_000, torch.Generator().manual_seed(0))[:, 0]
    mean, variances = dynamics.moments(parameters)
    torch.testing.assert_close(drawn.mean(0), mean[0], atol=5 * 2e-3 * 2, rtol=0)
    torch.testing.assert_close(drawn.var(0), variances[0], atol=0, rtol=0.05)


def test_the_rate_of_a_charged_z_dyn_does_not_see_its_scale():
    """Encoder evidence and dynamics scaled alike: the same rate."""
    model = small_model(state__linear_context_frames=0).eval()
    frames = torch.randn(3, 12, 4)

    def rate() -> float:
        torch.manual_seed(0)
        states = model.states(frames)
        density = model.dynamics.density
        found = divergence(states.posterior, states.steps, density, states.parameters)
        return float(found.sum(-1).mean().detach())

    before = rate()
    with torch.no_grad():  # z' = 2 z: means double, log SDs grow by log 2, inputs halve
        model.encoder.output.weight[:2] *= 2
        model.encoder.output.bias[:2] *= 2
        model.encoder.output.bias[2:] += torch.log(torch.tensor(2.0))
        trunk = model.dynamics.density.trunk
        assert trunk is not None
        trunk.linear.weight[1:3] *= 2
        trunk.linear.bias[1:3] *= 2
        trunk.linear.bias[3:] += torch.log(torch.tensor(2.0))
        trunk.linear.weight[:, 8:] /= 2
        weights = dict(model.dynamics.named_parameters())
        weights["network.gru.weight_ih_l0"].div_(2)
        weights["density.trunk.mlp.0.weight"][:, 8:].div_(2)
    assert rate() == pytest.approx(before, rel=1e-4)


def test_innovation_divergence_is_torchs():
    torch.manual_seed(0)
    model = small_model()
    posterior = Posterior(torch.randn(5, 3), 0.3 * torch.randn(5, 3))
    prior = model.innovation.prior
    parameters = prior.parameters_of(torch.randn(5, 2))
    mean, log_sd = prior.gaussian(parameters)
    normal = torch.distributions.Normal
    assert posterior.log_sd is not None
    expected = torch.distributions.kl_divergence(
        normal(posterior.mean, posterior.log_sd.exp()), normal(mean, log_sd.exp())
    )
    found = divergence(posterior, posterior.sample(), prior, parameters)
    torch.testing.assert_close(found, expected)
