"""Reconstruction along free-running z_dyn with z_rec drawn from its prior.

Shapes: B sequences, T frames, S steps of z_dyn, K steps rolled out, F frames of those, D latent
dimensions.
"""

import torch
from torch import Tensor

from engram_audio.factorizer.densities import Draw, drawn_generator
from engram_audio.factorizer.jumps import jump_gradient
from engram_audio.factorizer.model import Factorizer


def rollout_loss(
    model: Factorizer,
    frames: Tensor,
    is_scored: Tensor,
    steps: Tensor,
    num_steps: int,
    feature_map: Tensor | None,
) -> tuple[Tensor, Tensor]:
    """Return -log p(x | z, r) per frame and the log-mel error along a rollout.

    One starting step is drawn for the batch; z_dyn before it is the encoder's. Each later step is
    drawn from the dynamics, or, for a share of steps, taken from the encoder (teacher forcing).

    Args:
        model: The factoriser.
        frames: Shape [B, T, D].
        is_scored: Shape [B, T].
        steps: The encoder's z_dyn, [B, S, d].
        num_steps: K.
        feature_map: Linear map of scaled latents to log-mel, [D, Q], or None.
    """
    settings = model.settings
    stride, num_all = settings.state.stride_frames, steps.shape[1]
    first = min(max(settings.burn_in_frames // stride, 1), num_all - num_steps)
    start = int(torch.randint(first, num_all - num_steps + 1, ()))
    rolled = roll_states(model, steps, start, num_steps, settings.loss.teacher_fraction)
    padded = torch.cat([steps[:, :start], rolled.value], 1)
    states = model.upsampler(padded, (start + num_steps) * stride)[:, start * stride :]
    innovation = model.draw_innovation(states, drawn_generator(frames.device))
    means = model.decoder(states, innovation.value)
    rows = slice(start * stride, (start + num_steps) * stride)
    mask = is_scored[:, rows].to(means.dtype)
    weight = mask / mask.sum().clamp_min(1)
    choices = rolled.log_choice, innovation.log_choice
    distortion = _summed(-model.log_observation(frames[:, rows], means) * weight, *choices)
    feature = frames.new_zeros(())
    if feature_map is not None and settings.loss.feature_weight:
        error = (model.scaled(frames[:, rows]) - means) @ feature_map
        feature = _summed(error.square().mean(-1) * weight, *choices)
    return distortion, feature


def _summed(losses: Tensor, of_steps: Tensor, of_frames: Tensor) -> Tensor:
    """Return the sum of losses [B, F], with the gradient by what was chosen on the way.

    A step of z_dyn [B, K] has an effect on its own frames and on all later ones, z_rec [B, F] on
    its frame.
    """
    to_come = losses.flip(1).cumsum(1).flip(1)[:, :: losses.shape[1] // of_steps.shape[1]]
    return losses.sum() + jump_gradient(to_come, of_steps) + jump_gradient(losses, of_frames)


def roll_states(
    model: Factorizer, steps: Tensor, start: int, num_steps: int, teacher_fraction: float
) -> Draw:
    """Return z_dyn of free-running steps start .. start + K - 1, [B, K, d]."""
    generator = drawn_generator(steps.device)
    parameters, carry = model.dynamics.prime(steps[:, :start])
    found, log_choices = [], []
    for number in range(num_steps):
        state, log_choice = model.dynamics.density.draw(parameters, generator)
        if teacher_fraction:
            is_taught = torch.rand(len(steps), 1, device=steps.device) < teacher_fraction
            state = torch.where(is_taught, steps[:, start + number], state)
            log_choice = log_choice.masked_fill(is_taught[:, 0], 0.0)
        found.append(state)
        log_choices.append(log_choice)
        if number + 1 < num_steps:
            parameters, carry = model.dynamics.step(state, carry)
    return Draw(torch.stack(found, 1), torch.stack(log_choices, 1))


def curriculum(step: int, longest: int, curriculum_steps: int) -> int:
    """Return K at a training step: doubled from 1 to `longest` over the curriculum."""
    if not curriculum_steps or step >= curriculum_steps:
        return longest
    doublings = max(longest - 1, 0).bit_length()
    stage = (doublings + 1) * step // curriculum_steps
    return min(2**stage, longest)
