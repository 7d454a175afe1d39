"""z_dyn as a representation: one vector per step, in unit-variance units.

Shapes: N frames, S steps of all utterances, d state dimensions.
"""

import numpy as np
import torch

from engram_audio.factorizer.evaluation import batches
from engram_audio.factorizer.model import Factorizer
from engram_audio.latents.block import LatentBlock

BATCH_UTTERANCES = 32


@torch.no_grad()
def state_block(model: Factorizer, block: LatentBlock, device: torch.device) -> LatentBlock:
    """Return z_dyn of whole utterances as a block.

    A step's energy is the root of the mean square over its frames. Where z_dyn is charged this is
    the posterior's mean: whitening counts its noise, so a dimension that pays for nothing is 0.

    Args:
        model: In evaluation mode.
        block: Latents, cold start dropped.
        device: Where to run.
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
        found = model.states(padded.frames.to(device), is_sampled=False).white().cpu().numpy()
        is_step = padded.is_real.numpy()[:, ::stride]
        states[np.searchsorted(starts, padded.rows[:, ::stride][is_step])] = found[is_step]
    squares = np.add.reduceat(block.energy.astype(np.float64) ** 2, starts)
    energy = np.sqrt(squares / np.diff(np.append(starts, len(block.frames)))).astype(np.float32)
    return LatentBlock(states, energy, offsets, block.utterance_ids, block.speaker_ids)
