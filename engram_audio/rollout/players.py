"""Continue one utterance, for people to listen to.

Shapes: T frames, D dimensions.
"""

import numpy as np
import torch

from engram_audio.densities.density import Density
from engram_audio.densities.reference import Reference
from engram_audio.keys.encoder import continued
from engram_audio.rollout.paths import Starts
from engram_audio.rollout.simulate import Guard, Limits, Settings, free_run

PROMPT_FRACTION = 3  # one third of the utterance is true
LISTENING_FACTOR = 10.0  # RMS in SD beyond which a path stays where it is: decoders are not loud


def continue_utterance(
    model: Density,
    guard: Guard | None,
    reference: Reference,
    latents: np.ndarray,
    window_frames: int,
    generator: torch.Generator,
) -> dict[str, np.ndarray]:
    """Return the utterance with its later part run free, sampled and as a mean path, each [T, D].

    An utterance that is too short to start from comes back as it is.
    """
    num_frames = len(latents)
    prompt = max(num_frames // PROMPT_FRACTION, window_frames)
    horizon = num_frames - prompt
    if horizon < 1:
        return {"sampled": latents, "mean": latents}
    frames = torch.from_numpy(np.ascontiguousarray(latents, dtype=np.float32))
    mean, sd = (
        torch.as_tensor(part, dtype=torch.float32)
        for part in (reference.frame_mean, reference.frame_sd)
    )
    # the first utterance of its speaker, as far as this run knows
    heard = continued(torch.zeros(1, 1, frames.shape[1] + 1), frames[None])[0, 1:]
    starts = Starts(
        frames[None, prompt - window_frames : prompt], frames[None, prompt:],
        torch.tensor([horizon]), mean[None], np.array([""]), np.array([""]), np.array([prompt]),
        heard[None, prompt - window_frames : prompt],
    )  # fmt: skip
    limits = Limits(mean, sd, LISTENING_FACTOR)
    found = {}
    for name, is_sampled in (("sampled", True), ("mean", False)):
        run = free_run(
            model, starts, Settings(horizon, is_sampled, None, 1), limits, 1, generator,
            guard if is_sampled else None,
        )  # fmt: skip
        found[name] = torch.cat([frames[:prompt], run.states[0, 0]]).numpy()
    return found
