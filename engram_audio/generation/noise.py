"""Noise on what the backbone reads in training, so that it meets frames as a free run makes them.

Shapes: B sequences, T frames, D dimensions.
"""

import torch
from torch import Tensor

from engram_audio.generation.backbone_config import AnyNoise, FixedNoise


def noised(frames: Tensor, mean: Tensor, sd: Tensor, noise: AnyNoise) -> Tensor:
    """Return frames of which a share k of the variance is noise, [B, T, D].

    In units of the train SD a frame is sqrt(1 - k) z + sqrt(k) e with e standard normal, so its
    variance stays what it was. Draws come from torch's own state, which the loop seeds each step.

    Args:
        frames: Shape [B, T, D].
        mean: Train mean, [D].
        sd: Train SD, [D].
        noise: Where k comes from.
    """
    if noise.IS_CLEAN:
        return frames
    drawn = torch.randn_like(frames)
    match noise:
        case FixedNoise():
            share = frames.new_full((1, 1, 1), noise.share)
        case _:
            share = torch.rand(frames.shape[:2], device=frames.device).unsqueeze(-1)
    return mean + (1 - share).sqrt() * (frames - mean) + share.sqrt() * sd * drawn
