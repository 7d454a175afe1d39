"""The factoriser: x_t ~ p(x_t | z_dyn,t, z_rec,t), z_dyn a predictable state, z_rec an innovation.

Latents are scored in units of one common scale, their RMS about the train mean, so that a squared
error keeps the codec's own geometry; log densities are given in the latents' units.

Shapes: B sequences, T frames, S steps of z_dyn, D latent dimensions, d state dimensions,
r innovation dimensions.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engram_audio.factorizer.config import FactorizerSection, InnovationSettings
from engram_audio.factorizer.densities import (
    Conditional,
    Draw,
    Posterior,
    build_density,
    divergence,
    split_posterior,
)
from engram_audio.factorizer.networks import LinearPlusMlp
from engram_audio.factorizer.state import Dynamics, StateEncoder, Upsampler, filtered
from engram_audio.factorizer.whitening import Units, Whitening, unit_units
from engram_audio.numerics.units import LOG_2PI


class FrameScales(NamedTuple):
    """Train statistics of the latents, each of shape [D]."""

    mean: Tensor
    sd: Tensor

    @property
    def rms(self) -> float:
        """Root of the mean variance."""
        return float(self.sd.double().square().mean().sqrt())


class States(NamedTuple):
    """z_dyn of a batch.

    Attributes:
        posterior: q(z_t | .), or points, in the units of `steps`, [B, S, d].
        steps: z_dyn as the networks use it, sampled where it is charged, [B, S, d].
        frames: The same at every frame, [B, T, d].
        parameters: Of p(z_t | z_<t), [B, S, P].
        units: From `steps` to unit covariance; nothing is left to do where `steps` have it.
    """

    posterior: Posterior
    steps: Tensor
    frames: Tensor
    parameters: Tensor
    units: Units

    def white(self) -> Tensor:
        """Return z_dyn in unit-variance units, [B, S, d]."""
        return self.units.apply(self.steps)


class Innovation(nn.Module):
    """q(z_rec | x_t, z_t), local by construction, and p(z_rec | z_t)."""

    def __init__(
        self,
        num_frame_dims: int,
        num_state_dims: int,
        settings: InnovationSettings,
        width: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.is_deterministic = settings.prior == "deterministic"
        num_inputs = num_frame_dims + num_state_dims
        self.posterior = LinearPlusMlp(num_inputs, width, 2 * settings.num_dims)
        family = {"mixture": "mixture", "flow": "flow"}.get(settings.prior, "gaussian")
        head = build_density(family, settings.num_dims, settings.num_components)
        prior_inputs = 0 if settings.prior == "marginal" else num_state_dims
        self.prior = Conditional(head, prior_inputs, width, generator)

    def infer(self, frames: Tensor, states: Tensor) -> Posterior:
        """Return q(z_rec | x_t, z_t), shape [..., r], of normalised frames and z_dyn."""
        found = split_posterior(self.posterior(torch.cat([frames, states], -1)))
        return Posterior(found.mean, None) if self.is_deterministic else found


class Decoder(nn.Module):
    """The mean of x_t, in units of the common scale."""

    def __init__(
        self, num_state_dims: int, num_innovation_dims: int, num_dims: int, width: int, kind: str
    ) -> None:
        super().__init__()
        self.base = LinearPlusMlp(num_state_dims, width, num_dims) if kind == "additive" else None
        self.detail = LinearPlusMlp(num_state_dims + num_innovation_dims, width, num_dims)

    def forward(self, states: Tensor, innovations: Tensor) -> Tensor:
        """Return means, shape [..., D], of z_dyn [..., d] and z_rec [..., r]."""
        detail = self.detail(torch.cat([states, innovations], -1))
        return detail if self.base is None else self.base(states) + detail


class Factorizer(nn.Module):
    """Encoder, dynamics, innovation and decoder."""

    frame_mean: Tensor
    frame_sd: Tensor

    def __init__(
        self, settings: FactorizerSection, scales: FrameScales, noise_floor: float, seed: int
    ) -> None:
        """Build an untrained model.

        Args:
            settings: The variant.
            scales: Train statistics.
            noise_floor: Smallest observation SD, in units of the RMS: the dequantisation noise.
            seed: Seed of the weights.
        """
        super().__init__()
        num_dims = len(scales.mean)
        state, decoder = settings.state, settings.decoder
        self.settings, self.num_dims, self.rms = settings, num_dims, scales.rms
        self.log_floor = math.log(noise_floor) if noise_floor > 0 else -7.0
        self.register_buffer("frame_mean", scales.mean.float())
        self.register_buffer("frame_sd", scales.sd.float())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            generator = torch.Generator().manual_seed(seed)
            self.encoder = StateEncoder(num_dims, settings.encoder, state)
            self.whitening = Whitening(state.num_dims, state.is_whitened)
            self.dynamics = Dynamics(state.num_dims, settings.dynamics, generator)
            self.upsampler = Upsampler(state)
            self.innovation = Innovation(
                num_dims, state.num_dims, settings.innovation, decoder.width, generator
            )
            self.decoder = Decoder(
                state.num_dims, settings.innovation.num_dims, num_dims, decoder.width, decoder.kind
            )
            horizons = len(settings.loss.utility_horizons_frames)
            self.utility = nn.Linear(state.num_dims, num_dims * horizons) if horizons else None
        width = 1 if decoder.noise == "shared" else num_dims
        start = decoder.fixed_noise_sd or 0.5
        self.log_noise = nn.Parameter(
            torch.full((width,), math.log(start)), requires_grad=decoder.fixed_noise_sd is None
        )

    @property
    def log_scale(self) -> float:
        """Log of the volume of a unit cube of the common scale, nats."""
        return self.num_dims * math.log(self.rms)

    @property
    def is_charged(self) -> bool:
        """Whether z_dyn pays for what it sees."""
        return self.settings.state.rate == "charged"

    def normalized(self, frames: Tensor) -> Tensor:
        """Return frames with unit variance in every dimension: what networks see."""
        return (frames - self.frame_mean) / self.frame_sd

    def scaled(self, frames: Tensor) -> Tensor:
        """Return frames in units of the common scale: what the decoder explains."""
        return (frames - self.frame_mean) / self.rms

    def unscaled(self, means: Tensor) -> Tensor:
        """Return decoder outputs in the latents' units."""
        return means * self.rms + self.frame_mean

    def states(
        self,
        frames: Tensor,
        mask: Tensor | None = None,
        is_sampled: bool = True,
        noise: Tensor | None = None,
    ) -> States:
        """Infer z_dyn of sequences.

        A charged z_dyn is priced whatever its units, so it is whitened afterwards; a point has no
        price, so the networks see it whitened: neither gains by its scale.

        Args:
            frames: Shape [B, T, D].
            mask: Which frames exist, [B, T]; by default all.
            is_sampled: Whether a charged z_dyn is sampled, or its mean.
            noise: Standard normal draws of these samples, [B, S, d]; None takes torch's own state.
        """
        found = self.encoder(self.normalized(frames))
        kept = None if mask is None else mask[:, :: self.settings.state.stride_frames]
        if self.is_charged:
            posterior, steps, parameters = filtered(found, self.dynamics, is_sampled, noise)
            assert posterior.log_sd is not None
            variances = (2 * posterior.log_sd).exp()
            units = self.whitening(_kept(posterior.mean, kept), _kept(variances, kept))
        else:
            units = self.whitening(_kept(found.mean, kept), None)
            steps = units.apply(found.mean)
            posterior, parameters = Posterior(steps, None), self.dynamics.parameters_of(steps)
            units = unit_units(steps) if self.whitening.is_active else units
        upsampled = self.upsampler(steps, frames.shape[1])
        return States(posterior, steps, upsampled, parameters, units)

    def exported_units(self) -> Units:
        """Return how z_dyn of the networks becomes z_dyn as it is exported, in evaluation mode.

        A point has these units already.
        """
        nothing = self.whitening.mean.unsqueeze(0)
        return self.whitening(nothing, None) if self.is_charged else unit_units(nothing)

    def log_observation(self, frames: Tensor, means: Tensor) -> Tensor:
        """Return log p(x | z, r) in nats per frame, the latents' units, shape [...]."""
        log_sd = self.log_noise.clamp_min(self.log_floor)
        scaled = (self.scaled(frames) - means) * torch.exp(-log_sd)
        per_dim = -0.5 * scaled.square() - log_sd - 0.5 * LOG_2PI
        return per_dim.sum(-1) - self.log_scale

    def innovation_divergence(self, posterior: Posterior, value: Tensor, states: Tensor) -> Tensor:
        """Return KL[q(z_rec) || p(z_rec | z_t)], [..., r] or [..., 1]; see `divergence`."""
        parameters = self.innovation.prior.parameters_of(states)
        return divergence(posterior, value, self.innovation.prior, parameters)

    def sample_innovation(self, states: Tensor, generator: torch.Generator) -> Tensor:
        """Draw z_rec of the prior, shape [..., r], of z_dyn [..., d]."""
        return self.draw_innovation(states, generator).value

    def draw_innovation(self, states: Tensor, generator: torch.Generator) -> Draw:
        """Draw z_rec of the prior for a gradient, [..., r], of z_dyn [..., d]."""
        prior = self.innovation.prior
        return prior.draw(prior.parameters_of(states), generator)

    def draw_frames(self, states: Tensor, generator: torch.Generator) -> Tensor:
        """Draw x given z_dyn [..., d] alone, in the latents' units, [..., D].

        z_rec comes from its prior, and x has the observation noise that `log_observation` scores.
        """
        means = self.decoder(states, self.sample_innovation(states, generator))
        noise = torch.randn(means.shape, generator=generator, device=means.device)
        sd = self.log_noise.clamp_min(self.log_floor).exp()
        return self.unscaled(means + sd * noise)

    def frames_of_step(self, recent: Tensor) -> Tensor:
        """Return z_dyn at the frames of one step, [B, stride, d], of its memory [B, M, d]."""
        stride = self.settings.state.stride_frames
        if stride == 1 or self.upsampler.kind == "piecewise_constant":
            return recent[:, :1].expand(-1, stride, -1)
        return self.upsampler.expand(recent.unsqueeze(1))


def _kept(values: Tensor, kept: Tensor | None) -> Tensor:
    """Return the vectors of real steps, shape [N, d]."""
    return values.flatten(0, 1) if kept is None else values[kept]
