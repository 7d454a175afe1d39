"""Latents of one utterance as the factoriser makes them again, for people to listen to.

Shapes: T frames, D latent dimensions.
"""

import numpy as np
import torch

from engram_audio.factorizer.model import Factorizer


@torch.no_grad()
def resynthesize(model: Factorizer, latents: np.ndarray, seed: int) -> dict[str, np.ndarray]:
    """Return three versions of an utterance's latents, each [T, D].

    Args:
        model: In evaluation mode, on the CPU.
        latents: Shape [T, D].
        seed: Seed of the samples.

    Returns:
        `full`: z_dyn and the posterior's z_rec; `prior`: z_rec sampled from its prior; `state`:
        z_rec at its prior's mean, so that z_dyn alone speaks.
    """
    frames = torch.from_numpy(np.ascontiguousarray(latents, dtype=np.float32)).unsqueeze(0)
    generator = torch.Generator().manual_seed(seed)
    states = model.states(frames, is_sampled=False).frames
    prior = model.innovation.prior
    innovations = {
        "full": model.innovation.infer(model.normalized(frames), states).mean,
        "prior": model.sample_innovation(states, generator),
        "state": prior.mean(prior.parameters_of(states)),
    }
    return {
        name: model.unscaled(model.decoder(states, innovation))[0].numpy()
        for name, innovation in innovations.items()
    }
