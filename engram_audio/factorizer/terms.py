"""The loss, term by term, and what a batch says about the rate.

Shapes: B sequences, T frames, S steps of z_dyn, D latent dimensions, d state dimensions.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engram_audio.factorizer.densities import Draw, divergence, drawn_generator
from engram_audio.factorizer.jumps import jump_gradient
from engram_audio.factorizer.model import Factorizer, States
from engram_audio.factorizer.price import RatePrice, balanced
from engram_audio.factorizer.rollout_loss import rollout_loss


class Terms(NamedTuple):
    """Means of a batch, nats per frame unless said otherwise.

    Attributes:
        distortion: -log p(x | z, r).
        state_rate: KL of z_dyn; 0 where it is not charged.
        innovation_rate: KL of z_rec per dimension [r] or in sum [1]; 0 where deterministic.
        dynamics: -log p(z_t | z_<t), nats per step.
        prior_fit: -log p(z_rec | z_t) of a deterministic z_rec, which trains its prior only.
        utility: Squared error of later frames, in units of their variance.
        rollout: -log p(x | z, r) along free-running z_dyn.
        feature: Log-mel error along it.
    """

    distortion: Tensor
    state_rate: Tensor
    innovation_rate: Tensor
    dynamics: Tensor
    prior_fit: Tensor
    utility: Tensor
    rollout: Tensor
    feature: Tensor

    def rate(self) -> Tensor:
        """Return the whole rate, nats per frame."""
        return self.state_rate + self.innovation_rate.sum()


class Chunk(NamedTuple):
    """Training sequences.

    Attributes:
        frames: Latents, [B, T, D]; frames past an utterance's end repeat its last.
        is_real: Which frames exist, [B, T].
        is_scored: Which frames carry loss: real and after the burn-in, [B, T].
        utterance: Number of each sequence's utterance, [B].
    """

    frames: Tensor
    is_real: Tensor
    is_scored: Tensor
    utterance: Tensor


def masked_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Return the mean over marked entries of the first two axes, shape [...]."""
    weight = mask.to(values.dtype).reshape(*mask.shape, *([1] * (values.dim() - 2)))
    return (values * weight).sum((0, 1)) / weight.sum().clamp_min(1)


def compute_terms(
    model: Factorizer, chunk: Chunk, rollout_steps: int, feature_map: Tensor | None
) -> Terms:
    """Return all terms that the variant switches on.

    Args:
        model: The factoriser.
        chunk: Sequences.
        rollout_steps: K of the curriculum; 0 for no rollout.
        feature_map: Linear map to log-mel of scaled latents [D, Q], or None.
    """
    loss = model.settings.loss
    states = model.states(chunk.frames, chunk.is_real)
    step_mask = chunk.is_scored[:, :: model.settings.state.stride_frames]
    zero = chunk.frames.new_zeros(())
    state_rate = _state_rate(model, states, chunk, step_mask) if model.is_charged else zero
    dynamics = _dynamics(model, states, step_mask)
    innovation, rate, prior_fit = _innovation(model, chunk, states)
    distortion = _distortion(model, chunk, states, innovation)
    utility = _utility(model, chunk, states) if loss.utility_weight else zero
    rollout, feature = zero, zero
    if rollout_steps and loss.rollout_weight + loss.feature_weight:
        rollout, feature = rollout_loss(
            model, chunk.frames, chunk.is_scored, states.steps, rollout_steps, feature_map
        )
    return Terms(distortion, state_rate, rate, dynamics, prior_fit, utility, rollout, feature)


def total_loss(terms: Terms, model: Factorizer, price: RatePrice) -> Tensor:
    """Return the weighted sum of the terms."""
    loss = model.settings.loss
    # where no weight shapes z_dyn, the dynamics still learn, on states without gradient
    weight = loss.dynamics_weight or (0.0 if model.is_charged else 1.0)
    return (
        terms.distortion
        + price.charge(terms.state_rate, terms.innovation_rate)
        + weight * terms.dynamics
        + terms.prior_fit
        + loss.utility_weight * terms.utility
        + loss.rollout_weight * terms.rollout
        + loss.feature_weight * terms.feature
    )


def _state_rate(model: Factorizer, states: States, chunk: Chunk, step_mask: Tensor) -> Tensor:
    density = model.dynamics.density
    weight = model.settings.loss.kl.posterior_weight
    whole = divergence(states.posterior, states.steps, density, states.parameters)
    if weight is not None:
        fixed = states.steps.detach()
        parameters = model.dynamics.parameters_of(fixed)
        for_prior = divergence(states.posterior.detach(), fixed, density, parameters)
        whole = balanced(whole, for_prior, weight)
    # nats per step become nats per frame
    steps = (whole.sum(-1) * step_mask).sum()
    return steps / chunk.is_scored.sum().clamp_min(1)


def _dynamics(model: Factorizer, states: States, step_mask: Tensor) -> Tensor:
    """-log p(z_t | z_<t) per step, in unit-variance units: a smaller z_dyn is not a better one.

    Where no weight asks for it, the dynamics of a z_dyn that is not charged still learn, on states
    without gradient.
    """
    head = model.dynamics.density.head
    if model.settings.loss.dynamics_weight or model.is_charged:
        scores = head.log_prob(states.parameters, states.steps) - states.units.log_det
    else:
        fixed = states.steps.detach()
        scores = head.log_prob(model.dynamics.parameters_of(fixed), fixed)
    return -masked_mean(scores.unsqueeze(-1), step_mask)[0]


def _innovation(model: Factorizer, chunk: Chunk, states: States) -> tuple[Tensor, Tensor, Tensor]:
    """Return z_rec [B, T, r], its rate per dimension and the fit of a deterministic one's prior."""
    zero = chunk.frames.new_zeros(())
    posterior = model.innovation.infer(model.normalized(chunk.frames), states.frames)
    value = posterior.sample()
    prior = model.innovation.prior
    if model.innovation.is_deterministic:
        parameters = prior.parameters_of(states.frames.detach())
        fit = -prior.head.log_prob(parameters, value.detach())
        return value, zero.expand(1), masked_mean(fit.unsqueeze(-1), chunk.is_scored)[0]
    whole = model.innovation_divergence(posterior, value, states.frames)
    weight = model.settings.loss.kl.posterior_weight
    if weight is not None:
        for_prior = model.innovation_divergence(
            posterior.detach(), value.detach(), states.frames.detach()
        )
        whole = balanced(whole, for_prior, weight)
    return value, masked_mean(whole, chunk.is_scored), zero


def _distortion(model: Factorizer, chunk: Chunk, states: States, innovation: Tensor) -> Tensor:
    """Return the mean -log p(x | z, r); a share of r is drawn from the prior, in training only."""
    drawn = _mixed(model, states, innovation)
    means = model.decoder(states.frames, drawn.value)
    weight = chunk.is_scored.to(means.dtype) / chunk.is_scored.sum().clamp_min(1)
    losses = -model.log_observation(chunk.frames, means) * weight
    return losses.sum() + jump_gradient(losses, drawn.log_choice)


def _mixed(model: Factorizer, states: States, innovation: Tensor) -> Draw:
    """Return z_rec with a share of frames drawn from the prior."""
    fraction = model.settings.loss.prior_sampled_fraction
    if not model.training or not fraction:
        return Draw(innovation, innovation.new_zeros(innovation.shape[:2]))
    drawn = model.draw_innovation(states.frames, drawn_generator(innovation.device))
    is_drawn = torch.rand(innovation.shape[:2], device=innovation.device) < fraction
    value = torch.where(is_drawn.unsqueeze(-1), drawn.value, innovation)
    return Draw(value, drawn.log_choice.masked_fill(~is_drawn, 0.0))


def _utility(model: Factorizer, chunk: Chunk, states: States) -> Tensor:
    """Squared error of x_{t+h}, in units of the common scale, from z_t by one linear map each."""
    assert model.utility is not None
    horizons = model.settings.loss.utility_horizons_frames
    guesses = model.utility(states.frames).unflatten(-1, (len(horizons), -1))
    targets = model.scaled(chunk.frames)
    total = chunk.frames.new_zeros(())
    for number, horizon in enumerate(horizons):
        if horizon >= targets.shape[1]:
            continue
        error = guesses[:, : targets.shape[1] - horizon, number] - targets[:, horizon:]
        mask = chunk.is_scored[:, horizon:] & chunk.is_scored[:, : targets.shape[1] - horizon]
        total = total + masked_mean(error.square().mean(-1, keepdim=True), mask)[0]
    return total / max(len(horizons), 1)
