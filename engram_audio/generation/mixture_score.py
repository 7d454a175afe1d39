"""The log density of the head's mixture, with its backward pass written out.

Torch alone keeps a dozen tensors of the largest size and reads each of them again. Frames are the
last axis here, so that sums over components and dimensions go along memory.

Shapes: M frames, K components, D dimensions.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engram_audio.numerics.units import LOG_2PI


def mixture_log_prob(
    values: Tensor, z: Tensor, away: Tensor, floor: Tensor, ceiling: float
) -> Tensor:
    """Return log densities in nats, [M].

    A component's residual is z - mean + release * away.

    Args:
        values: K logits, K D means, K D log scales and K releases of each frame, [2 K (1 + D), M].
        z: Whitened residuals of the linear null, [D, M]; data, without a gradient.
        away: Whitened distances of its prediction from the train mean, [D, M]; data as well.
        floor: Least log scales, [D].
        ceiling: Largest log scale.
    """
    found: Tensor = _Score.apply(values.float(), z, away, floor.unsqueeze(1), ceiling)
    return found


class _Score(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, z: Tensor, away: Tensor, floor: Tensor, ceiling: float
    ) -> Tensor:
        logits, means, raw, release = _parts(values, len(z))
        log_scales = raw.maximum(floor).clamp_max_(ceiling)
        log_densities = log_scales.sum(1).neg_()
        inverse = log_scales.neg_().exp_()
        scaled = torch.sub(z, means).addcmul_(release.unsqueeze(1), away).mul_(inverse)
        joint = log_densities.add_(scaled.square().sum(1), alpha=-0.5).add_(logits)
        ctx.save_for_backward(values, joint, scaled, inverse, away, floor)
        ctx.ceiling = ceiling
        return joint.logsumexp(0) - logits.logsumexp(0) - 0.5 * len(z) * LOG_2PI

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, ...]:
        values, joint, scaled, inverse, away, floor = ctx.saved_tensors
        share = joint.softmax(0).mul_(outputs[0])
        found = torch.empty_like(values)
        logits, _, raw, _ = _parts(values, len(away))
        of_logits, of_means, of_scales, of_release = _parts(found, len(away))
        torch.sub(share, logits.softmax(0).mul_(outputs[0]), out=of_logits)
        pull = scaled * share.unsqueeze(1)
        torch.mul(pull, inverse, out=of_means)
        pull.mul_(scaled).sub_(share.unsqueeze(1))
        pull = torch.ops.aten.threshold_backward(pull, raw - floor, 0.0)  # 0 where clamped
        of_scales.copy_(torch.ops.aten.threshold_backward(pull, ctx.ceiling - raw, 0.0))
        torch.sum(of_means * away, 1, out=of_release).neg_()
        return found, None, None, None, None


def _parts(values: Tensor, dims: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return views: logits [K, M], means and log scales [K, D, M], releases [K, M]."""
    count = len(values) // (2 + 2 * dims)
    logits, means, scales, release = values.split([count, count * dims, count * dims, count])
    shape = (count, dims, values.shape[1])
    return logits, means.view(shape), scales.view(shape), release
