"""RMSNorm with a short backward pass on a CPU, where torch takes a dozen passes over the tensor.

Shapes: [..., d], d features.
"""

from typing import Any

import torch
from torch import Tensor, nn


class RMSNorm(nn.RMSNorm):
    """`nn.RMSNorm` of the last axis; training on a CPU differs from it by rounding alone."""

    def __init__(self, width: int) -> None:
        """Make the scale, 1 for each feature."""
        super().__init__(width)

    def forward(self, x: Tensor) -> Tensor:
        """Return x over its root mean square, scaled, [..., d]."""
        if torch.is_grad_enabled() and x.device.type == "cpu" and x.dtype == torch.float32:
            scaled: Tensor = _Scaled.apply(x, self.weight)
            return scaled
        return torch.rms_norm(x, self.normalized_shape, self.weight, self.eps)


class _Scaled(torch.autograd.Function):
    """x r w with r = 1 / rms(x)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        square = torch.linalg.vector_norm(x, dim=-1, keepdim=True).square_()
        inverse = square.div_(x.shape[-1]).add_(torch.finfo(x.dtype).eps).rsqrt_()
        ctx.save_for_backward(x, weight, inverse)
        return (x * inverse).mul_(weight)

    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor, Tensor]:
        (gradient,) = outputs
        x, weight, inverse = ctx.saved_tensors
        along = gradient * x
        of_weight = inverse.flatten() @ along.flatten(0, -2)
        towards = (along @ weight).unsqueeze(-1) * inverse.pow(3).div_(x.shape[-1])
        of_x = (gradient * weight).mul_(inverse).addcmul_(x, towards, value=-1)
        return of_x, of_weight
