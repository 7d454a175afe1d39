"""The stand-in for a GPU refuses what a GPU refuses, and computes what the CPU computes."""

from collections.abc import Iterator

import pytest
import torch

from engram_audio.steps import _device
from tests.second_device import NAME, SecondTensor, entered


@pytest.fixture
def second() -> Iterator[None]:
    yield from entered()


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize(
    "mixed",
    [
        lambda far, near: far @ near,
        lambda far, near: torch.cat([far, near]),
        lambda far, near: near.add_(far),
        lambda far, near: near[far.argmax(1)],
        lambda far, near: torch.nn.Linear(3, 3)(far),
        lambda far, near: far.index_put_((torch.tensor([0]),), near[0]),
        lambda far, near: far.numpy(),
    ],
)
def test_what_mixes_devices_is_refused(mixed):
    far, near = torch.ones(3, 3).to(NAME), torch.ones(3, 3)
    with pytest.raises((RuntimeError, TypeError)):
        mixed(far, near)


@pytest.mark.usefixtures("second")
@pytest.mark.parametrize(
    "allowed",
    [
        lambda far, near: far + torch.tensor(1.0),
        lambda far, near: far[torch.tensor([0, 2])],
        lambda far, near: far.copy_(near),
        lambda far, near: near.copy_(far).to(NAME),
        lambda far, near: torch.tensor([1.0, 2.0], device=far.device),
        lambda far, near: torch.as_tensor([1.0, 2.0], device=far.device),
        lambda far, near: far.new_tensor([1.0, 2.0]),
        lambda far, near: torch.zeros_like(far) + torch.ones(3, device=NAME),
    ],
)
def test_what_a_gpu_allows_is_allowed_and_stays_there(allowed):
    made = allowed(torch.ones(3, 3).to(NAME), torch.ones(3, 3))
    assert isinstance(made, SecondTensor)
    assert made.device.type == NAME
    assert torch.isfinite(made.cpu()).all()


@pytest.mark.usefixtures("second")
def test_a_step_of_training_is_that_of_the_cpu():
    weights = [trained("cpu"), trained(NAME)]
    torch.testing.assert_close(*weights, rtol=0, atol=0)


@pytest.mark.usefixtures("second")
@torch.inference_mode()
def test_inference_ends_in_main_memory():
    layer = torch.nn.Linear(3, 2).to(NAME)
    made = layer(torch.ones(4, 3).to(NAME)).mean(0)
    assert made.device.type == NAME
    assert made.cpu().numpy().shape == (2,)
    with pytest.raises(RuntimeError):
        layer(torch.ones(4, 3))


def trained(device: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(8, 3, generator=generator).to(device)
    layer = torch.nn.Linear(3, 1)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(1, 3, generator=generator))
        layer.bias.zero_()
    layer.to(device)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.1, fused=True)
    for _ in range(3):
        optimizer.zero_grad()
        layer(inputs).square().mean().backward()
        torch.nn.utils.clip_grad_norm_(layer.parameters(), 1.0)
        optimizer.step()
    return layer.weight.detach().cpu()


@pytest.mark.usefixtures("second")
def test_every_step_takes_it_for_its_device():
    assert _device.resolve_device("auto", True) == NAME
    assert _device.resolve_device("auto", False) == "cpu"


def test_nothing_of_it_is_left_afterwards():
    assert _device.resolve_device("cpu", True) == "cpu"
    assert torch.Generator().device.type == "cpu"
    assert type(torch.ones(2)) is torch.Tensor
