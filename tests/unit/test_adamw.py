"""The optimiser of all networks against torch's own class."""

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from engram_audio.provenance import ROOT
from engram_audio.training.adamw import AdamW

NUM_STEPS = 12
LATE = 5  # the step from which on the last parameter has a gradient


def rate(step: int) -> float:
    return 1e-2 / (1 + step)


def network(dtype: torch.dtype) -> list[nn.Parameter]:
    """Matrices, vectors, a parameter that never has a gradient and one that has it late."""
    torch.manual_seed(0)
    layers = nn.Sequential(nn.Linear(7, 9), nn.GELU(), nn.LayerNorm(9), nn.Linear(9, 3))
    return [nn.Parameter(p.detach().to(dtype)) for p in layers.parameters()] + [
        nn.Parameter(torch.ones(4, dtype=dtype)) for _ in range(2)
    ]


def set_gradients(parameters: list[nn.Parameter], step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    moving = parameters[:-2] + parameters[-1:] * (step >= LATE)
    for parameter in parameters:
        parameter.grad = None
    for parameter in moving:
        parameter.grad = torch.randn(parameter.shape, generator=generator).to(parameter.dtype)


@pytest.mark.parametrize("is_fused", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(("weight_decay", "second_decay"), [(0.0, 0.999), (0.05, 0.95)])
def test_steps_are_those_of_torch_bit_for_bit(
    is_fused: bool, dtype: torch.dtype, weight_decay: float, second_decay: float
):
    """Weights and moments agree after steps at changing rates, also of a late parameter."""
    own, others = network(dtype), network(dtype)
    optimizer = AdamW(own, weight_decay, is_fused, second_decay)
    betas = (0.9, second_decay)
    reference = torch.optim.AdamW(others, betas=betas, weight_decay=weight_decay, fused=is_fused)
    for step in range(NUM_STEPS):
        set_gradients(own, step)
        set_gradients(others, step)
        optimizer.step(rate(step))
        reference.param_groups[0]["lr"] = rate(step)
        reference.step()
    for mine, other in zip(own, others, strict=True):
        assert torch.equal(mine, other)
        assert (mine in optimizer.state) == (other in reference.state)
        moments: dict[str, Tensor] = reference.state.get(other, {})
        for name, value in moments.items():
            assert torch.equal(optimizer.state[mine][name], value)
            assert optimizer.state[mine][name].dtype == value.dtype
    optimizer.zero_grad()
    assert all(parameter.grad is None for parameter in own)


def test_a_step_without_any_gradient_moves_nothing():
    """As with torch: no state, no error."""
    parameters = network(torch.float32)
    optimizer = AdamW(parameters, 0.05, True, 0.999)
    optimizer.step(0.1)
    assert optimizer.state == {}


STEPS = (
    "from engram_audio.training.adamw import AdamW\n"
    "p = torch.nn.Parameter(torch.ones(3)); p.grad = p.detach(); AdamW([p], 0, True, .9).step(1)\n",
    "from engram_audio.training.lazy_adam import LazyAdam\n"
    "from engram_audio.training.tables import SparseTable\n"
    "t = SparseTable(3, 2, 5.0); t(torch.tensor([1])).sum().backward(); LazyAdam(t).step(1)\n",
)


@pytest.mark.parametrize("step", STEPS)
def test_training_does_without_the_compiler(step: str):
    """A step of an optimiser leaves out what takes a second of every training to import."""
    code = f"import sys, torch\n{step}print('torch._dynamo' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False"]
