"""How predictable latents are from the frame before: a term of a trained codec's loss.

Half the log of a ratio of variances for each dimension, summed, so that smaller latents are no more
predictable. These are no nats of a predictor of the frame. Dimensions count each for itself: one
that repeats another counts again. `smoothness` divides by what white noise has, so it is 0 there,
where a frame that stays as it is predicts worse than a constant.

Shapes: B crops, T frames, D dimensions.
"""

import torch
from torch import Tensor

from engram_audio.codecs.fitted_config import PredictabilitySettings

RIDGE = 1e-3  # of the mean variance
LEAST = 1e-6  # of a variance, so that a constant dimension gives no infinite nats


def predictability_cost(latents: Tensor, settings: PredictabilitySettings | None) -> Tensor:
    """Return the weighted term of latents [B, T, D], T >= 2; 0 without settings."""
    if settings is None:
        return latents.new_zeros(())
    return settings.weight * COSTS[settings.kind](latents.float())


def smoothness(latents: Tensor) -> Tensor:
    """Return half the log of the size of steps over that of white noise: E step^2 / 2 var.

    Summed over dimensions. It is 0 for white noise, which a frame that stays misses by ln 2 / 2 in
    each dimension against a constant.
    """
    steps = (latents[:, 1:] - latents[:, :-1]).square().mean((0, 1))
    return _half_log(steps, 2 * _variance(latents))


def one_step(latents: Tensor) -> Tensor:
    """Return 1/2 sum ln(1 - R^2) of the best linear map of the frame before.

    For one dimension: minus the nats that the map gains over a constant. Of several dimensions each
    is told by itself, so redundant ones count each.
    """
    before, after = (part.flatten(0, 1) for part in (latents[:, :-1], latents[:, 1:]))
    before, after = before - before.mean(0), after - after.mean(0)
    covariance = before.T @ before / len(before)
    ridge = RIDGE * covariance.diagonal().mean() + LEAST
    ridged = covariance + ridge * torch.eye(len(covariance), device=covariance.device)
    weights = torch.linalg.solve(ridged, before.T @ after / len(before))
    left = (after - before @ weights).square().mean(0)
    return _half_log(left, after.square().mean(0))


def _variance(latents: Tensor) -> Tensor:
    frames = latents.flatten(0, 1)
    return (frames - frames.mean(0)).square().mean(0)


def _half_log(left: Tensor, whole: Tensor) -> Tensor:
    return 0.5 * ((left + LEAST) / (whole + LEAST)).log().sum()


COSTS = {"smoothness": smoothness, "one_step": one_step}
