"""z_dyn: encoder, rate accounting, dynamics and the way to every frame.

A step of z_dyn lasts `stride` frames; step b covers frames b * stride and on. What it may see:
charged and free: frames up to b * stride; strictly_past: frames before b * stride.

Shapes: B sequences, T frames, S steps, D latent dimensions, d state dimensions, H width.
"""

import torch
from torch import Tensor, nn

from engram_audio.factorizer.config import DynamicsSettings, NetworkSettings, StateSettings
from engram_audio.factorizer.context import MEMORY_STEPS
from engram_audio.factorizer.densities import (
    LOG_SD_RANGE,
    Conditional,
    Posterior,
    build_density,
    fused,
)
from engram_audio.factorizer.networks import LinearContext, build_network

STARTING_LOG_SD = -1.0


class StateEncoder(nn.Module):
    """z_dyn of the frames it may see, or, where it is charged, Gaussian evidence about it."""

    def __init__(self, num_dims: int, network: NetworkSettings, settings: StateSettings) -> None:
        super().__init__()
        self.settings = settings
        self.network = build_network(num_dims, network)
        self.is_charged = settings.rate == "charged"
        num_outputs = settings.num_dims * (2 if self.is_charged else 1)
        self.output = nn.Linear(network.width, num_outputs)
        self.linear = None
        if settings.linear_context_frames:
            self.linear = LinearContext(num_dims, settings.linear_context_frames, settings.num_dims)
        if self.is_charged:
            with torch.no_grad():
                self.output.bias[settings.num_dims :] = STARTING_LOG_SD

    def forward(self, inputs: Tensor) -> Posterior:
        """Return points or evidence of every step, [B, S, d], of normalised frames [B, T, D]."""
        hidden = self.output(self.network(inputs)).float()
        mean = hidden[..., : self.settings.num_dims]
        if self.linear is not None:
            mean = mean + self.linear(inputs)
        if self.settings.rate == "strictly_past":
            mean = nn.functional.pad(mean[:, :-1], (0, 0, 1, 0))
        steps = slice(0, None, self.settings.stride_frames)
        if not self.is_charged:
            return Posterior(mean[:, steps], None)
        log_sd = hidden[..., self.settings.num_dims :].clamp(*LOG_SD_RANGE)
        return Posterior(mean[:, steps], log_sd[:, steps])


class Dynamics(nn.Module):
    """p(z_t | z_<t) in the units of z_dyn."""

    def __init__(
        self, num_dims: int, settings: DynamicsSettings, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.num_dims = num_dims
        self.network = build_network(num_dims, settings.network)
        head = build_density(
            settings.density, num_dims, settings.num_components, settings.fixed_sigma
        )
        width = self.network.width
        self.density = Conditional(head, width + num_dims, width, generator)

    def parameters_of(self, states: Tensor) -> Tensor:
        """Return the parameters of p(z_t | z_<t) of every step, shape [B, S, P]."""
        before = nn.functional.pad(states[:, :-1], (0, 0, 1, 0))
        hidden = self.network(states[:, :-1]) if states.shape[1] > 1 else None
        zeros = states.new_zeros(len(states), 1, self.network.width)
        hidden = zeros if hidden is None else torch.cat([zeros, hidden], 1)
        return self.density.parameters_of(torch.cat([hidden, before], -1))

    def first(self, num_sequences: int, device: torch.device) -> tuple[Tensor, Tensor]:
        """Return the first step's parameters [B, P] and the carry before it."""
        zeros = torch.zeros(num_sequences, self.network.width + self.num_dims, device=device)
        return self.density.parameters_of(zeros), self.network.initial(num_sequences, device)

    def step(self, state: Tensor, carry: Tensor) -> tuple[Tensor, Tensor]:
        """Return the next step's parameters [B, P] after a state [B, d], and the new carry."""
        hidden, carry = self.network.step(state, carry)
        return self.density.parameters_of(torch.cat([hidden, state], -1)), carry

    def prime(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Return the parameters and the carry after states [B, S, d]."""
        if not states.shape[1]:
            return self.first(len(states), states.device)
        carry = self.network.prime(states[:, :-1])
        return self.step(states[:, -1], carry)


def filtered(
    evidence: Posterior, dynamics: Dynamics, is_sampled: bool, noise: Tensor | None = None
) -> tuple[Posterior, Tensor, Tensor]:
    """Combine what the frames say with what the dynamics expect, step by step.

    q(z_t | z_<t, x_<=t) is the product of the evidence and of p(z_t | z_<t)'s first two moments:
    a state that the past already tells costs little, however noisy its samples.

    Args:
        evidence: From the encoder, [B, S, d].
        dynamics: p(z_t | z_<t).
        is_sampled: Whether to go on from samples or from means.
        noise: Standard normal draws of the samples, [B, S, d]; None takes torch's own state.

    Returns:
        The posterior [B, S, d], z_dyn [B, S, d] and the prior's parameters [B, S, P].
    """
    assert evidence.log_sd is not None
    batch, num_steps = evidence.mean.shape[:2]
    parameters, carry = dynamics.first(batch, evidence.mean.device)
    means, log_sds, states, priors = [], [], [], []
    for step in range(num_steps):
        own = Posterior(evidence.mean[:, step], evidence.log_sd[:, step])
        posterior = fused(own, *dynamics.density.moments(parameters))
        assert posterior.log_sd is not None
        state = posterior.mean
        if is_sampled:
            state = posterior.sample() if noise is None else posterior.at(noise[:, step])
        means.append(posterior.mean)
        log_sds.append(posterior.log_sd)
        states.append(state)
        priors.append(parameters)
        if step + 1 < num_steps:
            parameters, carry = dynamics.step(state, carry)
    posterior = Posterior(torch.stack(means, 1), torch.stack(log_sds, 1))
    return posterior, torch.stack(states, 1), torch.stack(priors, 1)


class Upsampler(nn.Module):
    """From steps of z_dyn to frames, looking at steps up to the frame's own only."""

    def __init__(self, settings: StateSettings) -> None:
        super().__init__()
        self.stride, self.kind = settings.stride_frames, settings.upsampler
        dims = settings.num_dims
        if self.stride > 1 and self.kind == "learned":
            eye = torch.zeros(self.stride, MEMORY_STEPS * dims, dims)
            eye[:, :dims] = torch.eye(dims)
            self.weight = nn.Parameter(eye)  # starts as the constant
        if self.stride > 1 and self.kind == "cross_attention":
            self.query = nn.Parameter(torch.randn(self.stride, dims) / dims**0.5)
            self.age = nn.Parameter(torch.zeros(MEMORY_STEPS, dims))
            self.keys, self.values = nn.Linear(dims, dims), nn.Linear(dims, dims)

    @property
    def num_products(self) -> int:
        """Multiplications of one step, attention products among them."""
        if self.stride == 1 or self.kind == "piecewise_constant":
            return 0
        if self.kind == "learned":
            return self.weight.numel()
        frames, dims = self.query.shape  # keys and values of every step that is read are made anew
        return MEMORY_STEPS * (2 * dims * dims + 2 * frames * dims)

    def forward(self, states: Tensor, num_frames: int) -> Tensor:
        """Return z_dyn at every frame, shape [B, T, d], of steps [B, S, d]."""
        if self.stride == 1:
            return states
        if self.kind == "piecewise_constant":
            return states.repeat_interleave(self.stride, 1)[:, :num_frames]
        recent = self.recent(states)
        return self.expand(recent)[:, :num_frames]

    def recent(self, states: Tensor) -> Tensor:
        """Return the newest steps of each step, newest first, shape [B, S, M, d]; 0 before any."""
        padded = nn.functional.pad(states, (0, 0, MEMORY_STEPS - 1, 0))
        return padded.unfold(1, MEMORY_STEPS, 1).flip(-1).transpose(-1, -2)

    def expand(self, recent: Tensor) -> Tensor:
        """Return the frames of steps with their memory, shape [B, S * stride, d]."""
        if self.kind == "learned":
            frames = torch.einsum("bsm,nmd->bsnd", recent.flatten(2), self.weight)
            return frames.flatten(1, 2)
        keys = self.keys(recent) + self.age
        scores = torch.einsum("nd,bsmd->bsnm", self.query, keys) / keys.shape[-1] ** 0.5
        mixed = torch.softmax(scores, -1) @ self.values(recent)
        return (recent[:, :, :1] + mixed).flatten(1, 2)
