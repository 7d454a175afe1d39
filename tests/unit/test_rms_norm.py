"""RMSNorm: values and gradients are torch's own, in training and without."""

import torch
from torch import nn

from engram_audio.generation.rms_norm import RMSNorm

ROUNDING = 1e-5


def both(x: torch.Tensor, weight: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    """Values and gradients of ours and of torch's norm under the same gradient of the output."""
    found = []
    for norm in (RMSNorm(x.shape[-1]), nn.RMSNorm(x.shape[-1])):
        with torch.no_grad():
            norm.weight.copy_(weight)
        own = x.clone().requires_grad_()
        values = norm(own)
        values.backward(torch.linspace(-1, 2, x.numel()).view(x.shape))
        assert own.grad is not None and norm.weight.grad is not None
        found.append((values.detach(), own.grad, norm.weight.grad))
    return found


def test_values_and_gradients_are_those_of_torch():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(3, 5, 8, generator=generator) * torch.tensor([1e-3, 1.0, 50.0]).view(3, 1, 1)
    weight = torch.rand(8, generator=generator) + 0.5
    for ours, torchs in zip(*both(x, weight), strict=True):
        scale = torchs.abs().amax(-1, keepdim=True)
        assert ((ours - torchs).abs() <= ROUNDING * scale).all()


def test_without_gradients_it_is_torchs_own():
    norm, x = RMSNorm(4), torch.randn(2, 4)
    with torch.no_grad():
        assert torch.equal(norm(x), nn.RMSNorm(4)(x))
        assert torch.allclose(norm(torch.zeros(1, 4)), torch.zeros(1, 4))


def test_a_gradient_of_nothing_is_nothing():
    """A row of zeros has no direction: its gradient stays finite."""
    (_, gradient, _), (_, theirs, _) = both(torch.zeros(1, 2, 4), torch.ones(4))
    assert torch.isfinite(gradient).all() and torch.allclose(gradient, theirs)
