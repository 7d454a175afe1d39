"""Let a factorised path go on from true frames of one utterance, to be decoded and heard.

Shapes: T frames, S steps of z_dyn, d state dimensions, D dimensions.
"""

import numpy as np
import torch
from torch import Tensor

from engram_audio.densities.base import Batch
from engram_audio.generation.continuation import Continuation, is_near, scale_of
from engram_audio.generation.factorized.path import StatePath


@torch.no_grad()
def continued_path(
    path: StatePath, frames: np.ndarray, prompt_frames: int, inject_frames: int | None, seed: int
) -> Continuation:
    """Return an utterance whose frames after a prompt are drawn; see `continued_frames`.

    z_dyn is drawn and never read off drawn frames. After every n drawn frames it is that of the
    true ones. A step of z_dyn too far from the data is replaced by the step before it.

    Args:
        path: On the CPU.
        frames: True frames, [T, D].
        prompt_frames: How many of them are kept, at least 1.
        inject_frames: z_dyn is the true one again after every n drawn frames; None: never.
        seed: Of all draws.
    """
    true = torch.from_numpy(np.ascontiguousarray(frames, dtype=np.float32))
    steps = path.steps_of(true.unsqueeze(0), np.array([str(seed)]))[0]
    generator = torch.Generator().manual_seed(seed)
    drawn, num_replaced = _drawn_steps(path, steps, len(true), prompt_frames, inject_frames,
                                       generator)  # fmt: skip
    heard = true.clone()
    made = path.frames_of(drawn.unsqueeze(0), generator)[0, : len(true)]
    heard[prompt_frames:] = made[prompt_frames:]
    num_drawn = len(true) - prompt_frames
    return Continuation(heard.numpy(), min(num_replaced * path.stride, num_drawn), num_drawn)


def _drawn_steps(
    path: StatePath, true: Tensor, num_frames: int, prompt_frames: int, inject_frames: int | None,
    generator: torch.Generator,
) -> tuple[Tensor, int]:  # fmt: skip
    """Return z_dyn that is heard, [S, d], and how many draws were replaced."""
    reach, (mean, sd) = path.generator.spec.settings.context_frames, scale_of(path.density)
    heard, walk, num_replaced = true.clone(), true.clone(), 0
    first = int(path.num_known(np.array([prompt_frames]))[0])
    told, ahead = _told_steps(path, num_frames, prompt_frames, inject_frames)
    for step in range(first, len(true)):
        newest = walk[step - 1 : step]
        batch = Batch(walk[None, max(step - reach, 0) : step], newest, newest, mean[None])
        drawn = path.density.sample(batch, 1, generator)[0, 0]
        is_kept = is_near(drawn, mean, sd)
        num_replaced += not is_kept
        heard[step] = walk[step] = drawn if is_kept else walk[step - 1]
        if told[step]:
            walk[step] = true[step]
        if ahead[step]:
            heard[step] = true[step]
    return heard, num_replaced


def _told_steps(
    path: StatePath, num_frames: int, prompt_frames: int, inject_frames: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return which steps true frames tell after every n draws, and which of them frames follow.

    Where z_dyn is strictly of the past, it is told before its own first frame is drawn.
    """
    told, ahead = np.zeros((2, num_frames // path.stride + 2), dtype=bool)
    if inject_frames is not None:
        seen = np.arange(prompt_frames + inject_frames, num_frames + 1, inject_frames)
        newest = path.num_known(seen) - 1
        told[newest] = True
        ahead[newest[newest * path.stride == seen]] = True
    return told, ahead
