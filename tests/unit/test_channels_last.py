"""Layers in channels-last order give what the originals give; clips in pieces, what whole ones."""

from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from engram_audio.codecs.channels_last import Convolution, channels_last
from engram_audio.codecs.pieces import (
    LARGEST_REACH,
    PIECE_S,
    Front,
    PieceEncoder,
    before_strides,
    front_of,
)
from engram_audio.codecs.receptive_field import Layer, reach_frames

ROUNDING = 1e-5  # float32 sums of some hundred products in another order


class Padded(nn.Module):
    """A causal convolution as transformers writes them."""

    def __init__(self, conv: nn.Conv1d, pad_mode: str = "constant") -> None:
        super().__init__()
        self.conv, self.pad_mode, self.causal = conv, pad_mode, True
        extent = (conv.kernel_size[0] - 1) * conv.dilation[0] + 1
        self.padding_total = extent - conv.stride[0]

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        mode = self.pad_mode
        return self.conv(nn.functional.pad(hidden, (self.padding_total, 0), mode=mode))


class Rows(nn.Module):
    """A linear layer over the channels of [B, C, M]."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(num_channels, num_channels)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        return self.linear(hidden.transpose(1, 2)).transpose(1, 2)


CAUSAL = [
    lambda: Padded(nn.Conv1d(1, 8, 7)),
    lambda: Padded(nn.Conv1d(8, 8, 3, dilation=3)),
    lambda: Padded(nn.Conv1d(8, 16, 8, stride=4)),
    lambda: Padded(nn.Conv1d(16, 16, 7, groups=16)),
    lambda: Padded(nn.Conv1d(16, 8, 1)),
    lambda: Rows(8),
    lambda: Padded(nn.Conv1d(8, 8, 3), "replicate"),
]
CENTRED = [
    lambda: nn.Conv1d(1, 8, 7, padding=3),
    lambda: nn.Conv1d(8, 8, 7, padding=9, dilation=3),
    lambda: nn.Conv1d(8, 16, 10, stride=5, padding=3),
    lambda: nn.Conv1d(16, 16, 3, padding=1),
]


@pytest.fixture
def causal() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(make() for make in CAUSAL))


@pytest.fixture
def centred() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(*(make() for make in CENTRED))


def audio(num_samples: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(size=num_samples))[
        None, None
    ].float()


def near(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) < ROUNDING * max(float(expected.std()), 1.0)


@pytest.mark.parametrize("name", ["causal", "centred"])
@torch.inference_mode()
def test_a_copy_gives_the_same_in_one_order_throughout(name: str, request: pytest.FixtureRequest):
    """Every kind of layer that codecs have; activations are rows of channels after the first."""
    network = request.getfixturevalue(name)
    original = {key: value.clone() for key, value in network.state_dict().items()}
    copied, hidden = channels_last(network), audio(400)
    near(copied(hidden), network(hidden))
    assert not any(isinstance(one, nn.Linear) for one in copied.modules())
    for layer in list(copied)[:4]:
        assert isinstance(layer, Convolution)
        hidden = layer(hidden)
        assert hidden.transpose(1, 2).is_contiguous()
    assert all(torch.equal(value, original[key]) for key, value in network.state_dict().items())


def test_what_is_more_than_zeros_and_a_convolution_is_kept(causal: nn.Sequential):
    """Another padding, a norm after it; alone or inside. A cache is refused, not left behind."""
    copied = channels_last(causal)
    assert isinstance(copied[-1], Padded)
    for kept in (causal[-1], Padded(nn.Conv1d(8, 8, 3))):
        kept.norm = nn.GroupNorm(1, 8)
        alone = channels_last(kept)
        assert isinstance(alone, Padded) and type(alone.conv) is nn.Conv1d
    assert isinstance(channels_last(causal[1]), Convolution)
    with pytest.raises(ValueError, match="does not stream"):
        copied[0](audio(8), padding_cache={})


@torch.inference_mode()
def test_pieces_and_company_change_nothing(centred: nn.Sequential):
    """Clips shorter than a piece, as long as one, and of many; the front looks both ways."""
    layers = [
        Layer(7, padding_left=3), Layer(7, dilation=3, padding_left=9),
        Layer(10, stride=5, padding_left=3),
    ]  # fmt: skip
    rate_hz, step = 200, 5
    front = Front(0, step, *reach_frames(layers, step))
    convolve = partial(nn.Sequential.forward, channels_last(centred[:3]))
    encoder = PieceEncoder(front, convolve, convolve, lambda rows: rows.transpose(1, 2), rate_hz)
    clips = [audio(length, seed) for seed, length in enumerate((150, 200, 205, 1000))]
    for clip, rows in zip(clips, encoder.encode(clips), strict=True):
        near(rows[: clip.shape[-1] // step].T[None], centred[:3](clip))
        assert not rows[clip.shape[-1] // step :].any()  # zeros of the padding


@torch.inference_mode()
def test_the_head_may_differ_from_the_rest(causal: nn.Sequential):
    """How later pieces pad their beginnings is cut away; a clip's own beginning is the head's."""
    mirrored = nn.Sequential(Padded(nn.Conv1d(1, 4, 7), "reflect"))
    plain = nn.Sequential(Padded(nn.Conv1d(1, 4, 7)))
    plain.load_state_dict(mirrored.state_dict())
    front = Front(0, 1, *reach_frames([Layer(7)], 1))
    encoder = PieceEncoder(front, mirrored, plain, lambda rows: rows.transpose(1, 2), 50)
    clip = audio(333)
    assert encoder.spans(333)[:2] == [(0, 12), (12, 62)]  # the head's piece is short
    (found,) = encoder.encode([clip])
    near(found.T[None], mirrored(clip))
    assert float((plain(clip) - mirrored(clip)).abs().max()) > 0.01


def test_the_front_is_the_longest_whose_reach_is_short():
    layers = [
        Layer(7),
        Layer(4, stride=2),
        Layer(3),
        Layer(8, stride=4),
        Layer(9),
        Layer(16, stride=8),
    ]
    cuts = before_strides(layers)
    assert cuts == [1, 3, 5]
    reach = [sum(front_of(layers, [cut], 10**9)[2:3]) for cut in cuts]
    assert reach == [6, 6, 11]  # of 6, 12 and 84 samples, in steps of 1, 2 and 8
    rates = [
        one * step / (LARGEST_REACH * PIECE_S) for one, step in zip(reach, (1, 2, 8), strict=True)
    ]
    for number, rate in enumerate(rates):
        assert front_of(layers, cuts, int(rate) + 1).cut == number
    assert front_of(layers, cuts, 1).cut == 0  # nothing is short enough: the shortest
