"""What a nat of rate costs: a fixed price, free bits, or a price that follows a target rate.

Shapes: B sequences, T frames, S steps of z_dyn, r innovation dimensions.
"""

import math

import torch
from torch import Tensor, nn

from engram_audio.factorizer.config import KlSettings

PRICE_STEP = 0.01  # log-price per step and per relative error of the rate
PRICE_RANGE = (-7.0, 7.0)


class RatePrice(nn.Module):
    """The price, with its own memory: the step number and, for a target, the log of the price.

    Both are buffers, so a checkpoint holds them and a resumed run goes on as if uninterrupted.
    """

    step: Tensor
    log_price: Tensor

    def __init__(self, settings: KlSettings) -> None:
        super().__init__()
        self.settings = settings
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.register_buffer("log_price", torch.zeros(()))

    def warmup(self) -> float:
        """Return the share of the price that is charged so far."""
        if not self.settings.warmup_steps:
            return 1.0
        return min((int(self.step) + 1) / self.settings.warmup_steps, 1.0)

    def charge(self, state_nats: Tensor, innovation_nats: Tensor) -> Tensor:
        """Return what the rates cost, nats per frame.

        Args:
            state_nats: Mean rate of z_dyn, nats per frame, a scalar.
            innovation_nats: Mean rate of z_rec per dimension, shape [r], or [1].
        """
        settings = self.settings
        if settings.mode == "free_bits":
            groups = innovation_nats.tensor_split(min(settings.num_groups, len(innovation_nats)))
            free = settings.free_nats
            rates = [state_nats, *(group.sum() for group in groups)]
            cost = torch.stack([rate.clamp_min(free) for rate in rates]).sum()
            return settings.beta * self.warmup() * cost
        rate = state_nats + innovation_nats.sum()
        if settings.mode == "beta":
            return settings.beta * self.warmup() * rate
        return float(self.log_price.exp()) * self.warmup() * rate

    def follow(self, rate_nats: float) -> None:
        """Note a training step's rate; in target mode the price moves towards the target."""
        self.step += 1
        if self.settings.mode == "target" and self.warmup() == 1.0:
            target = self.settings.target_nats
            error = (rate_nats - target) / max(target, 1.0)
            moved = self.log_price + PRICE_STEP * max(min(error, 1.0), -1.0)
            self.log_price.copy_(moved.clamp(*PRICE_RANGE))

    def score(self, distortion_nats: float, rate_nats: float) -> float:
        """Return what the choice part is judged by: lower is better, comparable between steps."""
        if self.settings.mode == "target":
            return distortion_nats + abs(rate_nats - self.settings.target_nats)
        return distortion_nats + max(self.settings.beta, 0.0) * rate_nats


def balanced(whole: Tensor, for_prior: Tensor, posterior_weight: float | None) -> Tensor:
    """Return a divergence whose gradient is shared between posterior and prior.

    Args:
        whole: KL[q || p] with all gradients.
        for_prior: KL[stop(q) || p], the same value, gradients to the prior only.
        posterior_weight: Share w of the posterior; None leaves the divergence whole.
    """
    if posterior_weight is None or math.isclose(posterior_weight, 0.5):
        return whole if posterior_weight is None else 0.5 * (whole + whole.detach())
    # gradients: w to the posterior, 1 - w to the prior; the value stays the divergence
    for_posterior = whole - for_prior  # gradient of the posterior alone
    mixed = posterior_weight * for_posterior + (1 - posterior_weight) * for_prior
    return mixed - mixed.detach() + whole.detach()
