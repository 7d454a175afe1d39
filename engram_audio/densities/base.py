"""The linear base of a density: what it subtracts from the target and the units it divides by.

    value = intercept + weight . regressors + speaker_weight * speaker_mean + scale z

The regressors are the newest frame and the steps before it, (x_n - m, x_n - x_{n-1}, ...), where
x_n is the newest frame of the context and m the train mean. A base without weights is a marginal;
with z ~ N(0, I) it is a linear-Gaussian null; under a head it is the linear skip.

Shapes: B targets, W window, D dimensions, p frames of context that the base uses.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.densities.base_arrays import BaseArrays
from engram_audio.numerics.precision import full_precision


class Batch(NamedTuple):
    """What a density sees, and the frames that make its target.

    Attributes:
        context: c_{t,k}, oldest frame first, shape [B, W, D].
        previous: x_{t-1}, shape [B, D]; a model of x_t at lag 1 may use it, others must not.
        current: x_t, shape [B, D].
        speaker_mean: Mean frame of the speaker's other utterances, shape [B, D].
        so_far: Mean of the speaker's frames so far at each frame of the context, and their number,
            shape [B, W, D + 1]; None where no key asks for it.
    """

    context: Tensor
    previous: Tensor
    current: Tensor
    speaker_mean: Tensor
    so_far: Tensor | None = None

    def rows(self, chosen: Tensor) -> "Batch":
        """Return some of the targets."""
        return Batch(*(None if part is None else part[chosen] for part in self))  # type: ignore[arg-type]


class LinearBase(nn.Module):
    """A fixed affine map between the target and its whitened residual."""

    frame_mean: Tensor
    intercept: Tensor
    weight: Tensor
    speaker_weight: Tensor
    scale: Tensor
    inverse_scale: Tensor

    def __init__(self, arrays: BaseArrays) -> None:
        super().__init__()
        self.target = arrays.target
        self.num_dims = len(arrays.frame_mean)
        self.order = arrays.weight.shape[0] // self.num_dims
        inverse = np.linalg.inv(arrays.scale)
        self.log_det = float(np.linalg.slogdet(inverse)[1])
        named = {
            "frame_mean": arrays.frame_mean,
            "intercept": arrays.intercept,
            "weight": arrays.weight,
            "speaker_weight": arrays.speaker_weight,
            "scale": arrays.scale,
            "inverse_scale": inverse,
        }
        for name, values in named.items():
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))
        self.has_speaker = bool(np.any(arrays.speaker_weight))
        self.is_diagonal = bool(np.all(arrays.scale == np.diag(np.diag(arrays.scale))))

    @full_precision
    def predict(self, batch: Batch) -> Tensor:
        """Return the linear prediction of the target, shape [B, D]."""
        prediction = self.intercept.expand(len(batch.context), -1)
        if self.order:
            prediction = prediction + self._regressors(batch.context) @ self.weight
        if self.has_speaker:
            prediction = prediction + self.speaker_weight * (batch.speaker_mean - self.frame_mean)
        return prediction

    def _regressors(self, context: Tensor) -> Tensor:
        newest = context[:, -1] - self.frame_mean
        if self.order == 1:
            return newest
        recent = context[:, -self.order :].flip(1)
        steps = recent[:, :-1] - recent[:, 1:]
        return torch.cat([newest, steps.flatten(1)], 1)

    def value(self, batch: Batch, event: str) -> Tensor:
        """Return the base's own target of an event's value, shape [B, D]."""
        return batch.current - batch.previous if event == "delta" else batch.current

    @full_precision
    def whiten(self, residual: Tensor) -> Tensor:
        """Return z of value - prediction, shape [..., D]."""
        if self.is_diagonal:
            return residual * self.inverse_scale.diagonal()
        return residual @ self.inverse_scale

    def noise_floor(self, noise_sd: np.ndarray) -> np.ndarray:
        """Return the SD that frame noise of SD `noise_sd` [D] has in each whitened unit, [D]."""
        inverse = self.inverse_scale.double().cpu().numpy()
        return np.linalg.norm(inverse * noise_sd[:, None], axis=0)

    @full_precision
    def unwhiten(self, z: Tensor) -> Tensor:
        """Return the residual of z, shape [..., D]."""
        return z * self.scale.diagonal() if self.is_diagonal else z @ self.scale

    @full_precision
    def spread(self, variances: Tensor) -> Tensor:
        """Return the residual's variances of uncorrelated whitened ones, shape [..., D]."""
        squares = self.scale.square()
        return variances * squares.diagonal() if self.is_diagonal else variances @ squares


def noise_floor(arrays: BaseArrays, noise_sd: np.ndarray) -> np.ndarray:
    """Return the SD that frame noise of SD `noise_sd` [D] alone has in each whitened unit, [D].

    A scale below it would resolve the dequantisation noise that was put there by hand.
    """
    return np.linalg.norm(np.linalg.inv(arrays.scale) * noise_sd[:, None], axis=0)
