"""-log p(x_t | x_<t) from above: importance-weighted, in the latents' units.

- strictly_past: z_dyn is known; importance samples of z_rec, independent at each frame (IWAE).
- charged: a particle filter over z_dyn (FIVO), z_rec sampled along; log Z of the filter is an
  unbiased estimate of p(x), so its log is a lower bound in expectation.
- free: z_dyn sees x_t for nothing, so what the decoder says is no density of x_t. Given the past
  only, z_t is drawn from the dynamics; that mixture is one.

Shapes: B sequences, T frames, S steps, P samples or particles, d state dimensions.
"""

import math
from typing import Protocol

import torch
from torch import Tensor

from engram_audio.factorizer.context import MEMORY_STEPS
from engram_audio.factorizer.densities import Conditional, Posterior, fused
from engram_audio.factorizer.model import Factorizer, States


class StateLaw(Protocol):
    """Another law of z_dyn in the place of the factoriser's own dynamics, along R particles.

    Values of z_dyn are in the units of the networks, [R, d].
    """

    def log_prob(self, state: Tensor, own: Tensor) -> Tensor:
        """Return log p(z_t | z_<t), [R]; `own` is what the factoriser's dynamics say."""
        ...

    def draw(self, known: Tensor, generator: torch.Generator) -> Tensor:
        """Draw z_t given z_<t, [R, d]; `known` is what the encoder says of it."""
        ...

    def follow(self, state: Tensor) -> None:
        """Go on by a step."""
        ...

    def keep(self, order: Tensor) -> None:
        """Go on with copies of these particles, [R]."""
        ...


@torch.no_grad()
def frame_bounds(
    model: Factorizer,
    frames: Tensor,
    is_real: Tensor,
    num_samples: int,
    generator: torch.Generator,
    law: StateLaw | None = None,
) -> Tensor:
    """Return the importance-weighted upper bound on -log p(x_t | x_<t), nats, shape [B, T].

    Args:
        model: In evaluation mode.
        frames: Shape [B, T, D], padded.
        is_real: Which frames exist, [B, T].
        num_samples: P.
        generator: On the model's device.
        law: Of z_dyn, in the place of the factoriser's dynamics, along B x P particles. A z_dyn
            that is not charged is then drawn from it, whatever the frames say.
    """
    if model.is_charged or law is not None:
        return _particle_bounds(model, frames, is_real, num_samples, generator, law)
    states = model.states(frames)
    log_sum = torch.full(frames.shape[:2], -math.inf, device=frames.device)
    for _ in range(num_samples):
        dyn = _known_from_the_past(model, states, frames.shape[1], generator)
        weight = _frame_weights(model, frames, dyn, generator)
        log_sum = torch.logaddexp(log_sum, weight)
    return math.log(num_samples) - log_sum


def _known_from_the_past(
    model: Factorizer, states: States, num_frames: int, generator: torch.Generator
) -> Tensor:
    """Return z_dyn at every frame as far as x_<t tells: a sample of the newest where it is free."""
    if model.settings.state.rate == "strictly_past":
        return states.frames
    drawn = model.dynamics.density.sample(states.parameters, generator)
    stride = model.settings.state.stride_frames
    if stride == 1:
        return drawn
    # only a step's first frame does not know its own z_dyn yet
    recent = model.upsampler.recent(states.steps)
    recent = torch.cat([drawn.unsqueeze(2), recent[:, :, 1:]], 2)
    flat = recent.flatten(0, 1)
    sampled = model.frames_of_step(flat).reshape(len(drawn), -1, drawn.shape[-1])[:, :num_frames]
    is_first = torch.arange(num_frames, device=drawn.device) % stride == 0
    return torch.where(is_first[:, None], sampled, states.frames)


def _frame_weights(
    model: Factorizer, frames: Tensor, dyn: Tensor, generator: torch.Generator
) -> Tensor:
    """Return log p(x | z, r) + log p(r | z) - log q(r | x, z) of one sample of r, shape [...].

    A deterministic z_rec has no posterior density: it is drawn from its fitted prior.
    """
    innovation = model.innovation
    parameters = innovation.prior.parameters_of(dyn)
    if innovation.is_deterministic:
        drawn = innovation.prior.sample(parameters, generator)
        return model.log_observation(frames, model.decoder(dyn, drawn))
    posterior = innovation.infer(model.normalized(frames), dyn)
    value = posterior.sample(generator)
    prior = innovation.prior.head.log_prob(parameters, value)
    observed = model.log_observation(frames, model.decoder(dyn, value))
    return observed + prior - posterior.log_prob(value).sum(-1)


def _particle_bounds(
    model: Factorizer,
    frames: Tensor,
    is_real: Tensor,
    num_particles: int,
    generator: torch.Generator,
    law: StateLaw | None,
) -> Tensor:
    batch, num_frames = frames.shape[:2]
    evidence = _evidence(model, frames)
    dynamics, density = model.dynamics, model.dynamics.density
    count, dims = batch * num_particles, evidence.mean.shape[-1]
    stride = model.settings.state.stride_frames
    parameters, carry = dynamics.first(count, frames.device)
    recent = frames.new_zeros(count, MEMORY_STEPS, dims)
    log_weights = frames.new_zeros(batch, num_particles)
    nll = torch.zeros_like(frames[..., 0])
    for step in range(evidence.mean.shape[1]):
        own = Posterior._make(
            None if part is None else _repeat(part[:, step], num_particles) for part in evidence
        )
        state, paid = _proposed(density, own, parameters, law, generator)
        recent = torch.cat([state.unsqueeze(1), recent[:, :-1]], 1)
        dyn = model.frames_of_step(recent)
        for number in range(min(stride, num_frames - step * stride)):
            frame = step * stride + number
            seen = _repeat(frames[:, frame], num_particles)
            weight = _frame_weights(model, seen, dyn[:, number], generator)
            weight = (weight + paid if number == 0 else weight).view(batch, num_particles)
            weight = torch.where(is_real[:, frame, None], weight, torch.zeros_like(weight))
            before = torch.logsumexp(log_weights, 1)
            log_weights = log_weights + weight
            nll[:, frame] = before - torch.logsumexp(log_weights, 1)
        chosen = _resample(log_weights, generator)
        if chosen is not None:
            order, log_weights = chosen
            state, recent, carry = state[order], recent[order], carry[order]
            if law is not None:
                law.keep(order)
        if law is not None:
            law.follow(state)
        parameters, carry = dynamics.step(state, carry)
    return nll


def _evidence(model: Factorizer, frames: Tensor) -> Posterior:
    """Return what the frames say of z_dyn, or z_dyn itself where it is a point, [B, S, d]."""
    if model.is_charged:
        return model.encoder(model.normalized(frames))
    return Posterior(model.states(frames).steps, None)


def _proposed(
    density: Conditional, own: Posterior, parameters: Tensor, law: StateLaw | None,
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """Return a draw of z_t [R, d], and log p - log q of it, [R]."""
    if own.log_sd is None:  # no posterior has a density: what is drawn from the law costs nothing
        assert law is not None
        return law.draw(own.mean, generator), own.mean.new_zeros(len(own.mean))
    posterior = fused(own, *density.moments(parameters))
    state = posterior.sample(generator)
    expected = density.head.log_prob(parameters, state)
    if law is not None:
        expected = law.log_prob(state, expected)
    return state, expected - posterior.log_prob(state).sum(-1)


def _repeat(values: Tensor, num_particles: int) -> Tensor:
    return values.repeat_interleave(num_particles, 0)


def _resample(log_weights: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor] | None:
    """Resample the sequences whose effective sample size is below half; None where none is.

    Systematic: particle p is copied floor or ceil of P times its weight.
    """
    batch, num_particles = log_weights.shape
    weights = torch.softmax(log_weights, 1)
    is_poor = 1 / weights.square().sum(1) < num_particles / 2
    if not bool(is_poor.any()):
        return None
    start = torch.rand(batch, 1, generator=generator, device=weights.device)
    places = (start + torch.arange(num_particles, device=weights.device)) / num_particles
    edges = weights.cumsum(1)
    edges[:, -1] = 1.0
    parents = torch.searchsorted(edges, places.contiguous()).clamp_max(num_particles - 1)
    own = torch.arange(num_particles, device=weights.device).expand(batch, -1)
    parents = torch.where(is_poor[:, None], parents, own)
    # the mean weight is kept, so that later increments stay relative to it
    level = torch.logsumexp(log_weights, 1, keepdim=True) - math.log(num_particles)
    renewed = torch.where(is_poor[:, None], level.expand(-1, num_particles), log_weights)
    rows = torch.arange(batch, device=weights.device)[:, None] * num_particles
    return (parents + rows).flatten(), renewed
