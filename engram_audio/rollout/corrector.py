"""A guard that moves a frame where a denoiser would: back onto the data, not onto a train frame.

A small network D is trained to give back train frames under noise of many sizes, so D(z) is the
mean of the frames that z may have been. A frame is inside where D moves it no farther than it moves
true frames. A draw that never gets in is moved by D. One that D leaves outside goes to the nearest
kept train frame.

Shapes: R frames, N train frames, D dimensions.
"""

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.numerics.kmeans import evenly
from engram_audio.rollout.guard import NUM_KEPT, SupportGuard
from engram_audio.rollout.method_config import CorrectorGuard

BATCH = 1024
LEARNING_RATE = 2e-3


class Corrector(SupportGuard):
    """Distance = how far the denoiser moves a frame, in SD over all dimensions."""

    low: Tensor
    high: Tensor

    def __init__(
        self,
        settings: CorrectorGuard,
        kept: np.ndarray,
        low: np.ndarray,
        high: np.ndarray,
        mean: np.ndarray,
        sd: np.ndarray,
    ) -> None:
        """Make the denoiser, which leaves frames between `low` and `high` as they are.

        Args:
            settings: Sizes.
            kept: Train frames, [C, D].
            low: Least train frame in SD, [D].
            high: Largest.
            mean: Train mean, [D].
            sd: Train SD, [D].
        """
        super().__init__(kept, mean, sd, settings.num_attempts)
        self.num_passes = settings.num_passes
        for name, values in (("low", low), ("high", high)):
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))
        dims, width = len(mean), settings.width
        self.network = nn.Sequential(
            nn.Linear(dims, width), nn.GELU(), nn.Linear(width, width), nn.GELU(),
            nn.Linear(width, dims),
        )  # fmt: skip
        for parameter in self.network[-1].parameters():
            nn.init.zeros_(parameter)

    def corrected(self, z: Tensor) -> Tensor:
        """Return D of scaled frames, [R, D]; beyond all train frames it starts at their border."""
        inside = z.maximum(self.low).minimum(self.high)
        return inside + self.network(inside)

    @torch.no_grad()
    def distance(self, z: Tensor) -> Tensor:
        """See `SupportGuard.distance`."""
        return (self.corrected(z) - z).norm(dim=-1)

    @torch.no_grad()
    def project(self, states: Tensor) -> Tensor:
        """Return frames moved by the denoiser, a few times, [R, D]."""
        z = torch.nan_to_num(self.scaled(states), nan=0.0, posinf=1e3, neginf=-1e3)
        for _ in range(self.num_passes):
            z = self.corrected(z)
        found = z * self.frame_sd + self.frame_mean
        is_lost = ~(self.distance(z) <= self.radius)
        return torch.where(is_lost.unsqueeze(1), super().project(found), found)


def fit_corrector(
    settings: CorrectorGuard,
    frames: np.ndarray,
    held_out: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    seed: int,
) -> Corrector:
    """Train the denoiser on train frames [N, D], and set the radius on held-out ones.

    Args:
        settings: Sizes and noise.
        frames: Train frames.
        held_out: Frames of the choice part.
        mean: Train mean, [D].
        sd: Train SD, [D].
        seed: Decides weights, order and noise.
    """
    z = ((frames - mean) / sd).astype(np.float32)
    kept = evenly(frames, min(NUM_KEPT, len(frames)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        guard = Corrector(settings, kept, z.min(0), z.max(0), mean, sd)
        _train(guard, torch.from_numpy(z), settings)
    guard.calibrate(held_out, settings.quantile)
    return guard.eval()


def _train(guard: Corrector, z: Tensor, settings: CorrectorGuard) -> None:
    """Lower the squared distance of D(z + noise) from z; noise sizes are even up to the largest."""
    optimizer = torch.optim.AdamW(guard.network.parameters(), lr=LEARNING_RATE, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, settings.num_steps)
    for _ in range(settings.num_steps):
        clean = z[torch.randint(len(z), (BATCH,))]
        level = settings.maximum_level * torch.rand(BATCH, 1)
        noisy = clean + level * torch.randn_like(clean)
        loss = (guard.corrected(noisy) - clean).square().sum(-1).mean()
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
