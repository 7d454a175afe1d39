"""Support guards, learned from train frames only: is a sampled frame one that data could be?

A guard rejects draws and has them made again, which keeps the law of the draws inside the support;
only a frame that never gets in is moved, which bends it. Frames are measured in SD.

Shapes: R frames, G kept train frames, C cells, D dimensions.
"""

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.numerics.grouped import add_grouped
from engram_audio.rollout.method_config import CodebookGuard, NearestGuard

CHUNK_VALUES = 1 << 24
NUM_KEPT = 4096  # train frames that a codebook moves frames to
MINIMUM_CELL_FRAMES = 2


class SupportGuard(nn.Module):
    """A frame is inside where its distance from the train frames is below a radius."""

    frame_mean: Tensor
    frame_sd: Tensor
    kept: Tensor
    radius: Tensor

    def __init__(
        self, kept: np.ndarray, frame_mean: np.ndarray, frame_sd: np.ndarray, num_attempts: int
    ) -> None:
        super().__init__()
        self.num_attempts = num_attempts
        for name, values in (("frame_mean", frame_mean), ("frame_sd", frame_sd)):
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))
        self.register_buffer("kept", self.scaled(torch.as_tensor(kept, dtype=torch.float32)))
        self.register_buffer("radius", torch.ones(()))

    def scaled(self, frames: Tensor) -> Tensor:
        """Return frames in SD."""
        return (frames - self.frame_mean) / self.frame_sd

    def distance(self, z: Tensor) -> Tensor:
        """Return how far scaled frames [R, D] are from the data, [R]."""
        raise NotImplementedError

    def keeps(self, states: Tensor, generator: torch.Generator) -> Tensor:
        """See `simulate.Guard`."""
        del generator
        return self.distance(self.scaled(states)) <= self.radius

    def project(self, states: Tensor) -> Tensor:
        """Return the nearest kept train frames, [R, D].

        A frame moved just inside the radius would still be off the data: a precise map sends it out
        again, and the path stands at the fence for ever.
        """
        z = torch.nan_to_num(self.scaled(states), nan=0.0, posinf=1e3, neginf=-1e3)
        parts = [
            self.kept[torch.cdist(part, self.kept).argmin(1)]
            for part in z.split(max(CHUNK_VALUES // len(self.kept), 1))
        ]
        return torch.cat(parts) * self.frame_sd + self.frame_mean

    def calibrate(self, held_out: np.ndarray, quantile: float) -> None:
        """Set the radius so that a share of held-out frames [R, D] is inside."""
        z = self.scaled(torch.as_tensor(held_out, dtype=torch.float32, device=self.radius.device))
        self.radius.copy_(torch.quantile(self.distance(z).double(), quantile).float())


class Nearest(SupportGuard):
    """Distance = that of the k-th nearest kept train frame."""

    def __init__(
        self, settings: NearestGuard, kept: np.ndarray, mean: np.ndarray, sd: np.ndarray
    ) -> None:
        super().__init__(kept, mean, sd, settings.num_attempts)
        self.num_neighbours = settings.num_neighbours

    def distance(self, z: Tensor) -> Tensor:
        """See `SupportGuard.distance`."""
        k = self.num_neighbours
        parts = [
            torch.cdist(part, self.kept).kthvalue(k, dim=1).values
            if k > 1
            else torch.cdist(part, self.kept).amin(1)
            for part in z.split(max(CHUNK_VALUES // len(self.kept), 1))
        ]
        return torch.cat(parts)


class Codebook(SupportGuard):
    """Distance = the smallest Mahalanobis distance from any cell, each with its own covariance."""

    centres: Tensor
    whitener: Tensor

    def __init__(
        self,
        settings: CodebookGuard,
        kept: np.ndarray,
        centres: np.ndarray,
        whitener: np.ndarray,
        mean: np.ndarray,
        sd: np.ndarray,
    ) -> None:
        super().__init__(kept, mean, sd, settings.num_attempts)
        self.register_buffer("centres", torch.as_tensor(centres, dtype=torch.float32))
        self.register_buffer("whitener", torch.as_tensor(whitener, dtype=torch.float32))
        self.register_buffer("shift", torch.einsum("cd,cde->ce", self.centres, self.whitener))

    shift: Tensor

    def _squares(self, z: Tensor) -> Tensor:
        """Return squared distances from all cells, [R, C]."""
        cells, dims = self.centres.shape
        rows = max(CHUNK_VALUES // (cells * dims), 1)
        flat = self.whitener.permute(1, 0, 2).reshape(dims, cells * dims)
        parts = [
            ((part @ flat).view(-1, cells, dims) - self.shift).square().sum(-1)
            for part in z.split(rows)
        ]
        return torch.cat(parts)

    def distance(self, z: Tensor) -> Tensor:
        """See `SupportGuard.distance`."""
        return self._squares(z).amin(1).sqrt()


def fit_nearest(
    settings: NearestGuard,
    frames: np.ndarray,
    held_out: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
) -> Nearest:
    """Keep train frames [N, D], evenly spread, and set the radius on held-out ones."""
    guard = Nearest(settings, _evenly(frames, settings.num_frames), mean, sd)
    guard.calibrate(held_out, settings.quantile)
    return guard


def _evenly(frames: np.ndarray, count: int) -> np.ndarray:
    rows = np.linspace(0, len(frames) - 1, min(count, len(frames))).round()
    return frames[rows.astype(np.int64)]


def fit_codebook(
    settings: CodebookGuard,
    frames: np.ndarray,
    held_out: np.ndarray,
    mean: np.ndarray,
    sd: np.ndarray,
    codes: np.ndarray,
) -> Codebook:
    """Fit a Gaussian to the train frames [N, D] of each code, and set the radius.

    The cells are the codes [N] of the contexts that end at the frames. Each has the mean of its
    frames and a covariance that is shrunk to the pooled one within cells: with few frames in many
    dimensions its own would be thin in directions that nobody has seen.
    """
    z = ((frames - mean) / sd).astype(np.float32)
    cell = np.unique(codes, return_inverse=True)[1]
    count = int(cell.max()) + 1
    centres = np.zeros((count, z.shape[1]))
    add_grouped(centres, z, cell)
    centres /= np.bincount(cell)[:, None]
    residual = (z - centres[cell]).astype(np.float64)
    pooled = residual.T @ residual / len(z)
    whitener = np.empty((count, z.shape[1], z.shape[1]))
    for number in range(count):
        own = residual[cell == number]
        covariance = pooled
        if len(own) >= MINIMUM_CELL_FRAMES:
            share = settings.shrinkage
            covariance = (1 - share) * own.T @ own / len(own) + share * pooled
        values, vectors = np.linalg.eigh(covariance)
        whitener[number] = vectors / np.sqrt(np.maximum(values, 1e-12))
    guard = Codebook(settings, _evenly(frames, NUM_KEPT), centres, whitener, mean, sd)
    guard.calibrate(held_out, settings.quantile)
    return guard
