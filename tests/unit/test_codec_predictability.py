"""The term that asks for predictable latents: closed forms, no gain by shrinking, its effect."""

import math

import pytest
import torch

from engram_audio.codecs.fitted_config import PredictabilitySettings
from engram_audio.codecs.mel_vae_task import build_task as mel_vae_task
from engram_audio.codecs.predictability import one_step, predictability_cost, smoothness
from engram_audio.codecs.vae_task import build_task as vae_task
from tests.unit.trained_codec_material import CPU, mel_vae_settings, vae_settings, voices

RHO = 0.9
NUM_FRAMES = 40000


def autoregressive(rho: float, num_dims: int = 2) -> torch.Tensor:
    """Crops of unit-variance AR(1) dimensions, [B, T, D]."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(NUM_FRAMES // 20, 20, num_dims, generator=generator)
    frames = [noise[:, 0]]
    for t in range(1, 20):
        frames.append(rho * frames[-1] + math.sqrt(1 - rho**2) * noise[:, t])
    return torch.stack(frames, 1)


@pytest.mark.parametrize("rho", [0.0, RHO])
def test_logs_are_those_of_an_autoregression(rho: float):
    """1/2 ln(1 - rho) for a frame that stays, 1/2 ln(1 - rho^2) for the best map, each dimension.

    The relative error of a variance of n frames that are worth n (1 - rho) / (1 + rho) is about
    sqrt(2 / n): five of them, for two dimensions.
    """
    latents = autoregressive(rho)
    error = 5 * math.sqrt(2 / (NUM_FRAMES * (1 - rho) / (1 + rho)))
    assert float(smoothness(latents)) == pytest.approx(math.log(1 - rho), abs=error)
    assert float(one_step(latents)) == pytest.approx(math.log(1 - rho**2), abs=error)


@pytest.mark.parametrize("cost", [smoothness, one_step])
def test_a_copied_dimension_counts_again(cost):
    """The term is no NLL of the frame: a copy tells nothing new, and the term is twice as large."""
    latents = autoregressive(RHO, 1)
    copied = latents.expand(-1, -1, 2)
    assert float(cost(copied)) == pytest.approx(2 * float(cost(latents)), rel=0.01)


def test_smoothness_of_white_noise_is_not_the_loss_of_persistence():
    """The term is 0; a frame that stays has twice the variance as error, ln 2 / 2 a dimension."""
    latents = autoregressive(0.0, 32)
    error = (latents[:, 1:] - latents[:, :-1]).square().mean((0, 1)) / latents.var((0, 1))
    assert float(0.5 * error.log().sum()) == pytest.approx(16 * math.log(2), rel=0.02)
    assert abs(float(smoothness(latents))) < 0.02 * 16 * math.log(2)


@pytest.mark.parametrize("cost", [smoothness, one_step])
def test_smaller_or_shifted_latents_are_no_more_predictable(cost):
    latents = autoregressive(RHO)
    moved = 0.3 * latents + torch.tensor([5.0, -2.0])
    assert float(cost(moved)) == pytest.approx(float(cost(latents)), abs=0.02)


def test_a_linear_map_sees_what_other_dimensions_tell():
    """Dimension 1 is dimension 0 a frame late: nothing stays, all of one is told."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(500, 21, generator=generator)
    latents = torch.stack([noise[:, 1:], noise[:, :-1]], -1)
    assert float(smoothness(latents)) == pytest.approx(0.0, abs=0.1)
    assert float(one_step(latents)) < -2.0


def test_constant_latents_give_a_finite_cost_and_gradients():
    latents = torch.zeros(2, 4, 3, requires_grad=True)
    for kind in ("smoothness", "one_step"):
        settings = PredictabilitySettings(kind=kind, weight=1.0)
        cost = predictability_cost(latents, settings)
        (gradient,) = torch.autograd.grad(cost, latents)
        assert torch.isfinite(cost) and torch.isfinite(gradient).all()
    assert float(predictability_cost(latents, None)) == 0.0


@pytest.mark.parametrize(
    ("settings_of", "build"), [(mel_vae_settings, mel_vae_task), (vae_settings, vae_task)]
)
def test_the_term_stands_in_the_loss_and_in_the_score_that_keeps_weights(settings_of, build):
    """Without it a codec would be trained for one thing and kept for another."""
    found = {}
    for weight in (None, 1.0, 2.0):
        term = None if weight is None else {"kind": "smoothness", "weight": weight}
        torch.manual_seed(0)
        settings = settings_of().model_copy(update={
            "predictability": term and PredictabilitySettings.model_validate(term),
        })  # fmt: skip
        task = build(settings, voices(0, 3), voices(3, 3), CPU)
        torch.manual_seed(1)
        loss = float(task.loss(torch.arange(2)).detach())
        with torch.no_grad():
            score = task.validate()
        found[weight] = loss, score, task.details["predictability_loss"]
    (loss, score, cost), (_, _, one), (_, _, two) = found.values()
    assert cost == 0.0 and two == pytest.approx(2 * one) and one != 0.0
    assert found[1.0][1] - score == pytest.approx(one, rel=1e-3)
    assert found[2.0][1] - score == pytest.approx(two, rel=1e-3)
    assert found[2.0][0] - loss == pytest.approx(2 * (found[1.0][0] - loss), rel=1e-2)


def test_a_crop_of_one_frame_is_refused():
    settings = mel_vae_settings(crop_s=0.08).model_copy(
        update={"predictability": PredictabilitySettings(kind="one_step", weight=1.0)}
    )
    with pytest.raises(ValueError, match=r"x\.predictability: a crop has 1 frame"):
        settings.check("x", ["speech"], [0])
