"""What every method of the rollout stage is scored with: train statistics and train frames.

Shapes: C train frames, D dimensions.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engram_audio.densities.reference import Reference
from engram_audio.latents.block import BlockSource
from engram_audio.rollout.config import RolloutSection
from engram_audio.rollout.forecasts import Marginals, marginals_of
from engram_audio.rollout.simulate import Limits


class ScoringSetup(NamedTuple):
    """What every method is scored with.

    Attributes:
        settings: Horizons and thresholds.
        marginals: Laws without context.
        limits: When a path has blown up.
        delta_sd: SD of steps, [D].
        climate: Train frames, [C, D]: the forecast that knows nothing.
        support: Train frames, [C', D]: near one of them is on the support.
    """

    settings: RolloutSection
    marginals: Marginals
    limits: Limits
    delta_sd: Tensor
    climate: Tensor
    support: Tensor

    def generator(self, *names: int) -> torch.Generator:
        """Return a generator of a fixed seed on the device of the frames."""
        seed = int(np.random.default_rng([self.settings.seed, *names]).integers(2**62))
        return torch.Generator(device=self.climate.device).manual_seed(seed)


def make_scoring_setup(
    settings: RolloutSection, reference: Reference, train: BlockSource, device: torch.device
) -> ScoringSetup:
    """Return the setup of train statistics and of frames drawn from the train stream."""
    mean, sd, step = reference.frame_mean, reference.frame_sd, reference.delta_sd
    sizes = settings.maximum_energy_frames, settings.support_frames
    frames = drawn_frames(train, max(sizes), settings.seed)
    tensors = [
        torch.as_tensor(part, dtype=torch.float32, device=device)
        for part in (mean, sd, step, *(frames[:size] for size in sizes))
    ]
    limits = Limits(tensors[0], tensors[1], settings.divergence_factor)
    return ScoringSetup(settings, marginals_of(mean, sd, step, device), limits, *tensors[2:])


def drawn_frames(source: BlockSource, count: int, seed: int) -> np.ndarray:
    """Draw frames of the whole stream evenly at random, [C, D]; the first ones are such a draw."""
    generator = np.random.default_rng([seed, 5])
    kept: list[np.ndarray] = []
    keys: list[np.ndarray] = []
    for block in source():
        rows = np.flatnonzero(block.scored())
        key = generator.random(len(rows))
        best = np.argsort(key)[:count]
        kept.append(np.asarray(block.frames[rows[best]]))
        keys.append(key[best])
    order = np.argsort(np.concatenate(keys), kind="stable")[:count]
    return np.concatenate(kept)[order]
