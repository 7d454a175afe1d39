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
    sizes = -(-np.diff(block.offsets) // stride)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    states = np.empty((int(offsets[-1]), model.settings.state.num_dims), np.float32)
    energy = np.empty(len(states), np.float32)
    for padded in batches(block, np.arange(len(sizes)), BATCH_UTTERANCES):
        means = model.states(padded.frames.to(device), is_sampled=False).white().cpu().numpy()
        for row, rows in enumerate(padded.rows):
            utterance = int(np.searchsorted(block.offsets, rows[0], side="right") - 1)
            target = slice(offsets[utterance], offsets[utterance + 1])
            states[target] = means[row, : sizes[utterance]]
            squares = block.energy[block.offsets[utterance] : block.offsets[utterance + 1]] ** 2
            starts = np.arange(0, len(squares), stride)
            counts = np.diff(np.append(starts, len(squares)))
            energy[target] = np.sqrt(np.add.reduceat(squares, starts) / counts)
    return LatentBlock(states, energy, offsets, block.utterance_ids, block.speaker_ids)
