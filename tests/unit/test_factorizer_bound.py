"""The bound in x space against models whose exact density is known."""

import numpy as np
import pytest
import torch

from engram_audio.factorizer.bound import _resample, frame_bounds
from engram_audio.factorizer.evaluation import Padded, frame_scores
from engram_audio.factorizer.model import Factorizer
from tests.unit.factorizer_material import small_model

NUM_DIMS = 4


def linear_gaussian(rate: str, noise_sd: float = 0.6) -> Factorizer:
    """A model that is linear and Gaussian: x = A z + B r + noise, r ~ N(0, 1), z_t ~ N(0, 1)."""
    model = small_model(
        NUM_DIMS, state__rate=rate, state__is_whitened=False, decoder__fixed_noise_sd=noise_sd,
    ).eval()  # fmt: skip
    with torch.no_grad():
        for part in (model.dynamics.density, model.innovation.prior):
            assert part.trunk is not None
            part.trunk.linear.weight.zero_()
            part.trunk.linear.bias.zero_()
        model.decoder.detail.linear.bias.zero_()
        # posteriors equal to the priors: poor proposals, but not hopeless ones
        for layer in (model.innovation.posterior.linear, model.encoder.output):
            if layer is not model.encoder.output or rate == "charged":
                layer.weight.zero_()
                layer.bias.zero_()
        if rate == "charged":
            assert model.encoder.linear is not None
            model.encoder.linear.convolution.weight.zero_()
    return model


def exact_nll(model: Factorizer, frames: torch.Tensor, states: torch.Tensor | None) -> torch.Tensor:
    """-log p(x_t | z_t), or with z_t ~ N(0, 1) integrated out where `states` is None; [B, T]."""
    assert model.decoder.base is not None
    weight = model.decoder.detail.linear.weight.detach()
    base = model.decoder.base.linear
    from_state = base.weight.detach() + weight[:, :2]
    from_innovation = weight[:, 2:]
    covariance = from_innovation @ from_innovation.T
    covariance += torch.eye(NUM_DIMS) * float(model.log_noise.detach().exp()) ** 2
    mean = base.bias.detach().expand(*frames.shape)
    if states is None:
        covariance = covariance + from_state @ from_state.T
    else:
        mean = mean + states @ from_state.T
    density = torch.distributions.MultivariateNormal(mean, covariance)
    return -(density.log_prob(model.scaled(frames)) - model.log_scale)


@pytest.mark.parametrize("rate", ["strictly_past", "charged", "free"])
def test_the_bound_reaches_the_exact_density(rate: str):
    """600 frames, 512 samples: within 4 standard errors below and .03 nats above the exact NLL.

    The plain bound, one sample with closed divergences, is no lower.
    """
    model = linear_gaussian(rate)
    torch.manual_seed(1)
    frames = 0.5 + 2 * torch.randn(20, 30, NUM_DIMS)
    known = model.states(frames).frames.detach() if rate == "strictly_past" else None
    exact = exact_nll(model, frames, known)
    is_real = torch.ones(20, 30, dtype=torch.bool)
    bound = frame_bounds(model, frames, is_real, 512, torch.Generator().manual_seed(0))
    excess = bound - exact
    standard_error = float(excess.std()) / excess.numel() ** 0.5
    assert -4 * standard_error < float(excess.mean()) < 0.03 + 4 * standard_error
    padded = Padded(frames, is_real, np.arange(600).reshape(20, 30))
    plain = frame_scores(model, padded, is_real, 2, torch.Generator().manual_seed(0))["elbo_nll"]
    if rate == "free":
        assert bool(plain.isnan().all())
    else:
        assert float(plain.mean()) >= float(bound.mean())


def test_what_a_free_state_claims_is_no_density():
    """Decoding from a z_dyn that saw x_t scores better than the exact density: the leak."""
    model = linear_gaussian("free", noise_sd=0.1)
    assert model.decoder.base is not None
    with torch.no_grad():  # z_dyn = the first two dimensions of x_t, which the decoder shows again
        model.encoder.output.weight.zero_()
        model.encoder.output.bias.zero_()
        assert model.encoder.linear is not None
        weight = model.encoder.linear.convolution.weight
        weight.zero_()
        weight[0, 0, -1] = weight[1, 1, -1] = 1.0
        model.decoder.base.linear.weight.copy_(torch.eye(NUM_DIMS)[:, :2])
        model.decoder.detail.linear.weight[:, :2] = 0.0
    torch.manual_seed(1)
    frames = 0.5 + 2 * torch.randn(10, 30, NUM_DIMS)
    claimed = exact_nll(model, frames, model.states(frames).frames.detach()).mean()
    is_real = torch.ones(10, 30, dtype=torch.bool)
    honest = frame_bounds(model, frames, is_real, 256, torch.Generator().manual_seed(0))
    assert float(claimed) < float(honest.mean()) - 1.0


def test_padding_leaves_the_bound_alone():
    model = linear_gaussian("charged")
    torch.manual_seed(1)
    frames = torch.randn(3, 12, NUM_DIMS)
    is_real = torch.ones(3, 12, dtype=torch.bool)
    is_real[1, 8:] = False
    bound = frame_bounds(model, frames, is_real, 16, torch.Generator().manual_seed(0))
    assert float(bound[1, 8:].abs().max()) < 1e-5


def test_resampling_keeps_the_mean_weight_and_favours_the_heavy():
    log_weights = torch.tensor([[0.0, -20.0, -20.0, -20.0], [0.0, 0.0, 0.0, 0.0]])
    chosen = _resample(log_weights, torch.Generator().manual_seed(0))
    assert chosen is not None
    order, renewed = chosen
    assert order.tolist() == [0, 0, 0, 0, 4, 5, 6, 7]
    torch.testing.assert_close(torch.logsumexp(renewed, 1), torch.logsumexp(log_weights, 1))
    assert _resample(torch.zeros(2, 4), torch.Generator()) is None
