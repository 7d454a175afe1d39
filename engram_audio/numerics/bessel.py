"""The logarithm of the modified Bessel function I_nu, stable in hundreds of dimensions.

`scipy.special.ive` underflows for large orders at small arguments, just where a direction head in
many dimensions starts. Above order 15 Olver's uniform expansion (DLMF 10.41.3) is used: with the
terms up to 1 / nu^4 its relative error is below 1e-7 there. Below, scipy's scaled function, and the
leading series terms where that underflows.
"""

import math
from typing import Any

import numpy as np
import scipy.special
import torch
from torch import Tensor

from engram_audio.numerics.units import LOG_2PI

UNIFORM_ORDER = 15.0


def log_bessel_i(order: float, x: np.ndarray) -> np.ndarray:
    """Return log I_order(x) in float64; x > 0, any shape."""
    x = np.asarray(x, dtype=np.float64)
    if order >= UNIFORM_ORDER:
        return _uniform(order, x)
    with np.errstate(divide="ignore"):
        direct = np.log(scipy.special.ive(order, x)) + x
    small = x < 1e-2 * math.sqrt(order + 1)
    square = 0.25 * x * x
    with np.errstate(divide="ignore"):
        series = order * np.log(0.5 * x) - math.lgamma(order + 1)
    series = series + np.log1p(
        square / (order + 1) * (1 + square / (2 * (order + 2)) * (1 + square / (3 * (order + 3))))
    )
    return np.where(small, series, direct)


def _uniform(order: float, x: np.ndarray) -> np.ndarray:
    z = x / order
    root = np.sqrt(1 + z * z)
    p = 1 / root
    p2 = p * p
    eta = root + np.log(z / (1 + root))
    u1 = p * (3 - 5 * p2) / 24
    u2 = p2 * (81 - p2 * (462 - 385 * p2)) / 1152
    u3 = p * p2 * (30375 - p2 * (369603 - p2 * (765765 - 425425 * p2))) / 414720
    u4 = (
        p2 * p2
        * (4465125 - p2 * (94121676 - p2 * (349922430 - p2 * (446185740 - 185910725 * p2))))
        / 39813120
    )  # fmt: skip
    tail = (u1 + (u2 + (u3 + u4 / order) / order) / order) / order
    return order * eta - 0.5 * np.log(2 * math.pi * order) - 0.5 * np.log(root) + np.log1p(tail)


def mean_resultant_length(num_dims: int, concentration: np.ndarray) -> np.ndarray:
    """Return A_D(kappa) = I_{D/2}(kappa) / I_{D/2-1}(kappa), the mean of u . mu under vMF."""
    order = 0.5 * num_dims - 1
    return np.exp(log_bessel_i(order + 1, concentration) - log_bessel_i(order, concentration))


class _LogNormalizer(torch.autograd.Function):
    """log C_D(kappa) with the exact derivative -A_D(kappa)."""

    @staticmethod
    def forward(ctx: Any, concentration: Tensor, num_dims: int) -> Tensor:  # type: ignore[override]
        kappa = concentration.detach().double().cpu().numpy()
        order = 0.5 * num_dims - 1
        log_bessel = log_bessel_i(order, kappa)
        value = order * np.log(kappa) - 0.5 * num_dims * LOG_2PI - log_bessel
        slope = -np.exp(log_bessel_i(order + 1, kappa) - log_bessel)
        ctx.save_for_backward(torch.as_tensor(slope).to(concentration))
        return torch.as_tensor(value).to(concentration)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return gradients[0] * slope, None


def log_vmf_normalizer(concentration: Tensor, num_dims: int) -> Tensor:
    """Return log C_D(kappa) of the von Mises-Fisher density C exp(kappa u . mu), any shape."""
    return _LogNormalizer.apply(concentration, num_dims)  # type: ignore[return-value]
