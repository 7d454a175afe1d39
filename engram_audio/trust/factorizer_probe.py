"""Factorisers whose exact density is known: the bound, the price and the verdict must say so.

A linear Gaussian factoriser is written down, not trained: x = A z + B r + noise, with z and r
standard normal. Its density is a Gaussian in closed form. The bound must reach it and may not lie
below it.

Shapes: B sequences, T frames, D dimensions, d state dimensions.
"""

from typing import Any

import torch
from torch import Tensor

from engram_audio.calibration.rows import CalibrationRow, compare
from engram_audio.calibration.truth import Truth
from engram_audio.factorizer import bound, verdicts
from engram_audio.factorizer.config import FactorizerSection
from engram_audio.factorizer.model import Factorizer, FrameScales
from engram_audio.factorizer.price import RatePrice
from engram_audio.verdicts.judge import NOT_MET

STAGE = WORLD = "factorizer"
NUM_DIMS, STATE_DIMS, SEQUENCES, FRAMES, SAMPLES = 4, 2, 10, 30, 256
# What 256 samples may leave of the bound: their mean log lies var(weight) / (2 x 256) too high.
LOSS_NATS = 0.03
RATES = ("strictly_past", "charged", "free")
NETWORK = {"kind": "gru", "width": 8, "num_layers": 1, "num_heads": 1, "context_frames": 4}
DOCUMENT: dict[str, Any] = {
    "recipe": "none", "chunk_frames": 16, "burn_in_frames": 4, "encoder": NETWORK,
    "state": {"num_dims": STATE_DIMS, "is_whitened": False, "stride_frames": 1,
              "upsampler": "piecewise_constant", "linear_context_frames": 3},
    "dynamics": {"network": NETWORK, "density": "gaussian", "num_components": 1,
                 "fixed_sigma": None},
    "innovation": {"prior": "gaussian", "num_dims": 3, "num_components": 1},
    "decoder": {"kind": "additive", "width": 8, "noise": "shared", "fixed_noise_sd": 0.6},
    "loss": {
        "kl": {"mode": "beta", "beta": 1.0, "free_nats": 0.0, "num_groups": 1, "target_nats": 0.0,
               "posterior_weight": None, "warmup_steps": 0},
        "dynamics_weight": 0.0, "utility_weight": 0.0, "utility_horizons_frames": [],
        "rollout_weight": 0.0, "rollout_horizon_frames": 1, "rollout_curriculum_steps": 0,
        "teacher_fraction": 0.0, "prior_sampled_fraction": 0.0, "feature_weight": 0.0,
    },
}  # fmt: skip
# A variant whose parts are both used, and whose z_dyn sees the frame for nothing.
DISHONEST: dict[str, Any] = {
    "collapse": "", "is_honest": "False",
    **{f"cost_shuffled_{own}": 0.5 for own in ("dyn", "dyn_low", "dyn_high", "rec", "rec_low",
                                               "rec_high")},
}  # fmt: skip


def factorizer_rows() -> list[CalibrationRow]:
    """Return every comparison; nothing is trained."""
    judged, _ = verdicts.judge_usage(DISHONEST)
    return [
        *(_bound_row(rate) for rate in RATES),
        _exact("price of rates of 2 and 1 + 3 nats", 6.0, _price()),
        _exact("not met where z_dyn sees the frame", 1.0, float(judged.outcome == NOT_MET)),
    ]


def _exact(quantity: str, truth: float, measured: float) -> CalibrationRow:
    return compare(WORLD, STAGE, Truth(quantity, 1, truth), measured, 0.0, resolution=1e-6)


def _price() -> float:
    price = RatePrice(_section("charged").loss.kl)
    return float(price.charge(torch.tensor(2.0), torch.tensor([1.0, 3.0])))


def _section(rate: str) -> FactorizerSection:
    document = {**DOCUMENT, "state": {**DOCUMENT["state"], "rate": rate}}
    return FactorizerSection.model_validate(document, strict=False)


def _bound_row(rate: str) -> CalibrationRow:
    """Compare the bound with the exact density, frame by frame."""
    model = _linear_gaussian(rate)
    generator = torch.Generator().manual_seed(1)
    frames = 0.5 + 2 * torch.randn(SEQUENCES, FRAMES, NUM_DIMS, generator=generator)
    states = model.states(frames).frames.detach() if rate == "strictly_past" else None
    exact = _exact_nll(model, frames, states)
    is_real = torch.ones(SEQUENCES, FRAMES, dtype=torch.bool)
    found = bound.frame_bounds(model, frames, is_real, SAMPLES, torch.Generator().manual_seed(0))
    excess = (found - exact).double()
    error = float(excess.std()) / excess.numel() ** 0.5
    truth = Truth(f"nats of a frame, z_dyn {rate}", 1, float(exact.double().mean()))
    measured = float(found.double().mean())
    return compare(WORLD, STAGE, truth, measured, error, loss_above=LOSS_NATS)


def _linear_gaussian(rate: str) -> Factorizer:
    """Return the model: priors standard normal, decoder linear, a poor but proper posterior."""
    scales = FrameScales(torch.full((NUM_DIMS,), 0.5), torch.full((NUM_DIMS,), 2.0))
    model = Factorizer(_section(rate), scales, 0.0, 0).eval()
    with torch.no_grad():
        for part in (model.dynamics.density, model.innovation.prior):
            assert part.trunk is not None
            part.trunk.linear.weight.zero_()
            part.trunk.linear.bias.zero_()
        model.decoder.detail.linear.bias.zero_()
        posterior = model.innovation.posterior.linear
        posterior.bias.zero_()
        posterior.weight.mul_(0.1)
        if rate == "charged":
            assert model.encoder.linear is not None
            for weights in (model.encoder.output.weight, model.encoder.output.bias):
                weights.zero_()
            model.encoder.linear.convolution.weight.mul_(0.1)
    return model


def _exact_nll(model: Factorizer, frames: Tensor, states: Tensor | None) -> Tensor:
    """Return -log p(x_t | z_t), [B, T]; z_t is integrated out where it is not known."""
    assert model.decoder.base is not None
    weight, base = model.decoder.detail.linear.weight.detach(), model.decoder.base.linear
    from_state = base.weight.detach() + weight[:, :STATE_DIMS]
    from_innovation = weight[:, STATE_DIMS:]
    noise = float(model.log_noise.detach().exp()) ** 2
    covariance = from_innovation @ from_innovation.T + noise * torch.eye(NUM_DIMS)
    mean = base.bias.detach().expand(*frames.shape)
    if states is None:
        covariance = covariance + from_state @ from_state.T
    else:
        mean = mean + states @ from_state.T
    density = torch.distributions.MultivariateNormal(mean, covariance)
    return -(density.log_prob(model.scaled(frames)) - model.log_scale)
