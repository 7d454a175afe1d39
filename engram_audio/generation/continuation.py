"""Let a generator go on from true frames of one utterance, to be decoded and heard.

Shapes: T frames, D dimensions.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio.densities.base import Batch
from engram_audio.generation.density import GeneratorDensity

LOUDEST_SD = 10.0  # RMS in SD of the train frames beyond which a path stays where it is


class Continuation(NamedTuple):
    """What was drawn of an utterance.

    Attributes:
        frames: True ones, then drawn ones, [T, D], float32.
        num_replaced: Draws in whose place the frame before stands.
        num_drawn: All draws.
    """

    frames: np.ndarray
    num_replaced: int
    num_drawn: int


@torch.no_grad()
def continued_frames(
    density: GeneratorDensity,
    frames: np.ndarray,
    prompt_frames: int,
    inject_frames: int | None,
    seed: int,
) -> Continuation:
    """Return an utterance whose frames after a prompt are drawn.

    Arms that draw with the same seed draw with the same random numbers: what differs between them
    is their laws. A draw too far from the data is replaced by the frame before it, since decoders
    would be loud. Replaced draws are counted: a law that diverges sounds better than it is.

    Args:
        density: A generator that finds its own codes.
        frames: True frames, [T, D].
        prompt_frames: How many of them are kept, at least 1.
        inject_frames: Draws go on from the true frame after every n draws; None: never.
        seed: Of the draws.
    """
    reach = density.generator.spec.settings.context_frames
    true = torch.from_numpy(np.ascontiguousarray(frames, dtype=np.float32))
    mean, sd = scale_of(density)
    heard, path = true.clone(), true.clone()
    generator, num_replaced = torch.Generator().manual_seed(seed), 0
    for t in range(prompt_frames, len(true)):
        newest = path[t - 1 : t]
        density.first_frame = max(t - reach, 0)
        batch = Batch(path[None, density.first_frame : t], newest, newest, mean[None])
        drawn = density.sample(batch, 1, generator)[0, 0]
        is_kept = is_near(drawn, mean, sd)
        num_replaced += not is_kept
        heard[t] = path[t] = drawn if is_kept else path[t - 1]
        if inject_frames is not None and (t - prompt_frames + 1) % inject_frames == 0:
            path[t] = true[t]
    return Continuation(heard.numpy(), num_replaced, len(true) - prompt_frames)


def scale_of(density: GeneratorDensity) -> tuple[Tensor, Tensor]:
    """Return mean and SD of what a generator was trained on, each [D]."""
    known = density.generator.spec.dimensions
    mean, sd = (torch.as_tensor(part, dtype=torch.float32) for part in known[:2])
    return mean, sd


def is_near(drawn: Tensor, mean: Tensor, sd: Tensor) -> bool:
    """Return whether a drawn frame [D] lies near enough to the data to be heard."""
    return bool(((drawn - mean) / sd).square().mean().sqrt() < LOUDEST_SD)
