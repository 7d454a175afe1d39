"""Causal networks and upsamplers: nothing looks ahead, and stepping equals the whole sequence."""

import pytest
import torch

from engram_audio.factorizer.config import NetworkSettings
from engram_audio.factorizer.networks import LinearContext, build_network
from engram_audio.factorizer.state import Upsampler
from tests.unit.factorizer_material import settings, small_model

NETWORKS = [
    {"kind": "gru", "width": 8, "num_layers": 2, "num_heads": 1, "context_frames": 1},
    {"kind": "transformer", "width": 8, "num_layers": 2, "num_heads": 2, "context_frames": 3},
]


@pytest.mark.parametrize("network", NETWORKS, ids=lambda item: item["kind"])
def test_the_future_changes_nothing(network: dict):
    torch.manual_seed(0)
    model = build_network(3, NetworkSettings.model_validate(network, strict=False))
    inputs = torch.randn(2, 10, 3)
    changed = inputs.clone()
    changed[:, 6:] += 5
    torch.testing.assert_close(model(inputs)[:, :6], model(changed)[:, :6])
    assert not torch.allclose(model(inputs)[:, 6:], model(changed)[:, 6:])


@pytest.mark.parametrize("network", NETWORKS, ids=lambda item: item["kind"])
@pytest.mark.parametrize("num_primed", [0, 1, 4])
def test_steps_equal_the_sequence(network: dict, num_primed: int):
    torch.manual_seed(0)
    model = build_network(3, NetworkSettings.model_validate(network, strict=False))
    inputs = torch.randn(2, 9, 3)
    whole, carry = model(inputs), model.prime(inputs[:, :num_primed])
    for frame in range(num_primed, 9):
        output, carry = model.step(inputs[:, frame], carry)
        torch.testing.assert_close(output, whole[:, frame], atol=1e-5, rtol=1e-5)


def test_linear_context_is_the_newest_frames():
    torch.manual_seed(0)
    layer = LinearContext(3, 2, 4)
    inputs = torch.randn(1, 5, 3)
    weight = layer.convolution.weight  # [4, 3, 2], the newest frame last
    expected = weight[..., 1] @ inputs[0, 3] + weight[..., 0] @ inputs[0, 2]
    torch.testing.assert_close(layer(inputs)[0, 3], expected)


@pytest.mark.parametrize("kind", ["piecewise_constant", "learned", "cross_attention"])
def test_upsamplers_look_at_steps_up_to_their_own(kind: str):
    section = settings(
        state__stride_frames=4, state__upsampler=kind, chunk_frames=16, burn_in_frames=4
    ).state
    torch.manual_seed(0)
    upsampler = Upsampler(section)
    for parameter in upsampler.parameters():
        torch.nn.init.normal_(parameter)
    steps = torch.randn(2, 5, section.num_dims)
    changed = steps.clone()
    changed[:, 3:] += 1
    first, second = upsampler(steps, 20), upsampler(changed, 20)
    torch.testing.assert_close(first[:, :12], second[:, :12])
    assert not torch.allclose(first[:, 12:], second[:, 12:])


@pytest.mark.parametrize("kind", ["piecewise_constant", "learned", "cross_attention"])
def test_one_step_at_a_time_upsamples_alike(kind: str):
    model = small_model(state__stride_frames=4, state__upsampler=kind)
    torch.manual_seed(0)
    for parameter in model.upsampler.parameters():
        torch.nn.init.normal_(parameter)
    steps = torch.randn(2, 5, model.settings.state.num_dims)
    whole = model.upsampler(steps, 20)
    recent = model.upsampler.recent(steps)
    for step in range(5):
        own = model.frames_of_step(recent[:, step])
        torch.testing.assert_close(own, whole[:, 4 * step : 4 * step + 4])
