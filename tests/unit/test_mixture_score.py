"""The written-out gradient of the generator's head against torch's own."""

import pytest
import torch
from torch import Tensor

from engram_audio.generation.mixture_score import mixture_log_prob
from engram_audio.numerics.units import LOG_2PI

COUNT, DIMS, FRAMES = 3, 4, 50
CEILING = 1.5
FLOOR = torch.tensor([-1.0, -2.0, -0.5, -3.0])


def plain(values: Tensor, z: Tensor, away: Tensor) -> Tensor:
    """The same density in single steps, in the order of frames first."""
    logits, means, scales, release = values.T.split([COUNT, COUNT * DIMS, COUNT * DIMS, COUNT], 1)
    means, scales = (part.unflatten(1, (COUNT, DIMS)) for part in (means, scales))
    scales = torch.maximum(scales, FLOOR).clamp_max(CEILING)
    residual = z.T[:, None] - means + release[..., None] * away.T[:, None]
    each = -0.5 * (residual / scales.exp()).square() - scales - 0.5 * LOG_2PI
    return torch.logsumexp(logits.log_softmax(1) + each.sum(2), 1)


def drawn(spread: float) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = spread * torch.randn(COUNT * (2 + 2 * DIMS), FRAMES, generator=generator)
    z, away = (torch.randn(DIMS, FRAMES, generator=generator) for _ in range(2))
    return values.requires_grad_(), z, away


@pytest.mark.parametrize("spread", [0.1, 1.0, 3.0])  # the last one meets floors and the ceiling
def test_values_and_gradients_are_those_of_torch(spread: float):
    """Against double precision, within what single precision rounds."""
    values, z, away = drawn(spread)
    weight = torch.linspace(-1, 2, FRAMES)
    found = mixture_log_prob(values, z, away, FLOOR, CEILING)
    (gradient,) = torch.autograd.grad((found * weight).sum(), values)
    exact = values.detach().double().requires_grad_()
    wanted = plain(exact, z.double(), away.double())
    (slope,) = torch.autograd.grad((wanted * weight).sum(), exact)
    assert torch.allclose(found.double(), wanted, rtol=1e-5, atol=1e-5)
    assert torch.allclose(gradient.double(), slope, rtol=1e-4, atol=1e-4)
    raw = values[COUNT * (1 + DIMS) : COUNT * (1 + 2 * DIMS)].view(COUNT, DIMS, FRAMES)
    is_held = (raw < FLOOR[:, None]) | (raw > CEILING)
    assert is_held.any() == (spread > 0.1)
    of_scales = gradient[COUNT * (1 + DIMS) : COUNT * (1 + 2 * DIMS)].view_as(raw)
    assert (of_scales[is_held] == 0).all()
