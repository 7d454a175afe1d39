"""Unit covariance for z_dyn: its scale and its axes then carry no advantage.

Shapes: N vectors, d dimensions.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from engram_audio.numerics.precision import full_precision

MOMENTUM = 0.05
RELATIVE_RIDGE = 1e-5


class Units(NamedTuple):
    """z = (raw - centre) root^T has unit covariance.

    Attributes:
        centre: Shape [d].
        root: Inverse Cholesky factor of the covariance, lower triangular, shape [d, d].
        log_det: log |det root|.
    """

    centre: Tensor
    root: Tensor
    log_det: Tensor

    @full_precision
    def apply(self, raw: Tensor) -> Tensor:
        """Return whitened vectors, shape [..., d]."""
        return (raw - self.centre) @ self.root.T

    @full_precision
    def undo(self, white: Tensor) -> Tensor:
        """Return the raw vectors of whitened ones, shape [..., d]."""
        flat = torch.linalg.solve_triangular(self.root, white.flatten(0, -2).T, upper=False)
        return flat.T.view(white.shape) + self.centre

    @full_precision
    def variances(self, raw_variances: Tensor) -> Tensor:
        """Return variances in whitened units of independent raw noise, shape [..., d]."""
        return raw_variances @ self.root.square().T


class Whitening(nn.Module):
    """Batch statistics while training, their running mean afterwards.

    The covariance counts signal and posterior noise together: a dimension without information has
    noise of unit variance and a mean of zero, rather than magnified rounding.
    """

    mean: Tensor
    covariance: Tensor

    def __init__(self, num_dims: int, is_active: bool) -> None:
        super().__init__()
        self.is_active = is_active
        self.register_buffer("mean", torch.zeros(num_dims))
        self.register_buffer("covariance", torch.eye(num_dims))
        self.register_buffer("num_updates", torch.zeros((), dtype=torch.int64))

    num_updates: Tensor

    @full_precision
    def forward(self, raw: Tensor, noise_variances: Tensor | None) -> Units:
        """Return the units of raw vectors [N, d] with posterior variances [N, d] or none."""
        if not self.training:
            return _units(self.mean, self.covariance) if self.is_active else unit_units(raw)
        mean = raw.mean(0)
        centred = raw - mean
        covariance = centred.T @ centred / len(raw)
        if noise_variances is not None:
            covariance = covariance + torch.diag(noise_variances.mean(0))
        self._update(mean.detach(), covariance.detach())  # also where only health reads it
        return _units(mean, covariance) if self.is_active else unit_units(raw)

    def _update(self, mean: Tensor, covariance: Tensor) -> None:
        self.num_updates += 1
        # a plain average of the first batches, then a running one: the start leaves no trace
        weight = max(MOMENTUM, 1.0 / int(self.num_updates))
        self.mean.lerp_(mean, weight)
        self.covariance.lerp_(covariance, weight)


def unit_units(vectors: Tensor) -> Units:
    """Return the units that change nothing about vectors [..., d]."""
    dims = vectors.shape[-1]
    eye = torch.eye(dims, device=vectors.device)
    return Units(vectors.new_zeros(dims), eye, vectors.new_zeros(()))


def _units(mean: Tensor, covariance: Tensor) -> Units:
    dims = len(mean)
    ridge = RELATIVE_RIDGE * covariance.diagonal().mean().clamp_min(1e-12)
    eye = torch.eye(dims, device=mean.device)
    factor = torch.linalg.cholesky(covariance + ridge * eye)
    root = torch.linalg.solve_triangular(factor, eye, upper=False)
    return Units(mean, root, -factor.diagonal().log().sum())
