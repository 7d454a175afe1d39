"""z_dyn as a representation: one vector per step, in unit-variance units.

Shapes: N frames, S steps of all utterances, d state dimensions.
"""

import numpy as np
import torch
from torch import Tensor

from engram_audio.factorizer.evaluation import Padded, batches
from engram_audio.factorizer.model import Factorizer
from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.seeds import named_generator

BATCH_UTTERANCES = 32


def state_noise(names: np.ndarray, num_steps: int, num_dims: int, seed: int) -> Tensor:
    """Return what samples z_dyn of utterances: each has draws of its own by name, [B, S, d].

    So neither the order nor the batch of utterances decides a sample.
    """
    shape = (num_steps, num_dims)
    draws = [
        named_generator(seed, "z_dyn", str(name)).standard_normal(shape, np.float32)
        for name in names
    ]
    return torch.from_numpy(np.stack(draws))


@torch.no_grad()
def white_steps(
    model: Factorizer, frames: Tensor, names: np.ndarray, sampling_seed: int | None
) -> Tensor:
    """Return z_dyn of whole utterances [B, T, D] as it is exported, [B, S, d].

    Args:
        model: In evaluation mode.
        frames: On the model's device.
        names: Utterance ids, [B].
        sampling_seed: Of a charged posterior's samples; None takes its means.
    """
    if sampling_seed is None:
        return model.states(frames, is_sampled=False).white()
    settings = model.settings.state
    num_steps = -(-frames.shape[1] // settings.stride_frames)
    noise = state_noise(names, num_steps, settings.num_dims, sampling_seed)
    return model.states(frames, noise=noise.to(frames.device)).white()


def names_of(block: LatentBlock, padded: Padded) -> np.ndarray:
    """Return the ids of the utterances that lie side by side, [B]."""
    utterances = np.searchsorted(block.offsets, padded.rows[:, 0], side="right") - 1
    return np.asarray(block.utterance_ids)[utterances]


@torch.no_grad()
def state_block(
    model: Factorizer, block: LatentBlock, device: torch.device, sampling_seed: int | None = None
) -> LatentBlock:
    """Return z_dyn of whole utterances as a block.

    A step's energy is the root of the mean square over its frames. Where z_dyn is charged this is
    the posterior's mean, or one sample of it. Whitening counts the posterior's noise. So in the
    means a dimension that pays for nothing is 0, and samples have unit covariance.

    Args:
        model: In evaluation mode.
        block: Latents, cold start dropped.
        device: Where to run.
        sampling_seed: Of a charged posterior's samples; None takes its means.
    """
    model = model.to(device).eval()
    stride = model.settings.state.stride_frames
    lengths = np.diff(block.offsets)
    sizes = -(-lengths // stride)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    number = np.arange(offsets[-1]) - np.repeat(offsets[:-1], sizes)
    starts = np.repeat(block.offsets[:-1], sizes) + stride * number  # rows that open a step
    states = np.empty((len(starts), model.settings.state.num_dims), np.float32)
    for padded in batches(block, np.arange(len(sizes)), BATCH_UTTERANCES):
        names = names_of(block, padded)
        found = white_steps(model, padded.frames.to(device), names, sampling_seed).cpu().numpy()
        is_step = padded.is_real.numpy()[:, ::stride]
        states[np.searchsorted(starts, padded.rows[:, ::stride][is_step])] = found[is_step]
    squares = np.add.reduceat(block.energy.astype(np.float64) ** 2, starts)
    energy = np.sqrt(squares / np.diff(np.append(starts, len(block.frames)))).astype(np.float32)
    return LatentBlock(states, energy, offsets, block.utterance_ids, block.speaker_ids)
