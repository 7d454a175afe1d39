"""Layers in channels-last order, for encoding in one thread on a CPU.

A thread's matrix products go to MKL, which has slow kernels for some processors; convolutions go to
oneDNN, which is at least as fast everywhere and reads rows of channels without reordering them. So
linear layers are computed as convolutions, and padding is left to the convolution: activations keep
one order from the first layer to the last.

Shapes: B clips, C channels, M steps.
"""

import copy
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional

# PyTorch gives kernels of one sample in a single thread to oneDNN only where they are dilated;
# they have no second sample that could move.
ONE_SAMPLE_DILATION = 2


class Linear(nn.Module):
    """`nn.Linear` as a convolution with a kernel of one sample."""

    def __init__(self, linear: nn.Linear) -> None:
        """Take over the weights."""
        super().__init__()
        self.weight = _channels_last(linear.weight[..., None])
        self.bias = linear.bias

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Map [.., C] to [.., C']."""
        rows = hidden.reshape(1, -1, hidden.shape[-1]).transpose(1, 2)[:, :, None]
        outputs = functional.conv2d(rows, self.weight, self.bias, dilation=ONE_SAMPLE_DILATION)
        return outputs[0, :, 0].T.reshape(*hidden.shape[:-1], -1)


class Convolution(nn.Module):
    """`nn.Conv1d` with zeros on its left (and on its right, unless it is causal)."""

    def __init__(self, conv: nn.Conv1d, padding: int, is_causal: bool) -> None:
        """Take over the weights."""
        super().__init__()
        self.weight, self.bias = _channels_last(conv.weight), conv.bias
        self._kernel, self._stride, self._groups = conv.kernel_size[0], conv.stride[0], conv.groups
        self._dilation = conv.dilation[0] if self._kernel > 1 else ONE_SAMPLE_DILATION
        self._padding, self._is_causal = padding, is_causal

    def forward(self, hidden: torch.Tensor, padding_cache: None = None) -> torch.Tensor:
        """Map [B, C, M], M a multiple of the stride where causal, to [B, C', M'].

        Raises:
            ValueError: A cache is given: it would be left behind.
        """
        if padding_cache is not None:
            raise ValueError("a copy in channels-last order does not stream")
        outputs = self._convolved(hidden)[:, :, 0]
        return outputs[..., : hidden.shape[-1] // self._stride] if self._is_causal else outputs

    def _convolved(self, hidden: torch.Tensor) -> torch.Tensor:
        return functional.conv2d(
            hidden[:, :, None],
            self.weight,
            self.bias,
            stride=(1, self._stride),
            padding=(0, self._padding),
            dilation=(1, self._dilation),
            groups=self._groups,
        )


class MonoConvolution(Convolution):
    """The same of one channel: the taps of its kernel are the channels of a kernel of one sample.

    One channel has no order of its own, and the output would come out in the other.
    """

    def __init__(self, conv: nn.Conv1d, padding: int, is_causal: bool) -> None:
        """Take over the weights; `conv` has one input channel and is not dilated."""
        super().__init__(conv, padding, is_causal)
        self.weight = _channels_last(conv.weight.transpose(1, 2))

    def _convolved(self, hidden: torch.Tensor) -> torch.Tensor:
        padded = functional.pad(hidden, (self._padding, self._padding))
        windows = padded.unfold(-1, self._kernel, self._stride).permute(0, 3, 1, 2)
        rows = windows.contiguous(memory_format=torch.channels_last)
        return functional.conv2d(rows, self.weight, self.bias, dilation=ONE_SAMPLE_DILATION)


def channels_last(module: nn.Module, others: Mapping[type, Callable[[Any], Any]] = {}) -> Any:
    """Return a copy that computes its linear layers and convolutions in channels-last order.

    Convolutions that pad with anything but zeros, or normalise, are kept as they are. The copy does
    not stream.

    Args:
        module: A part of a model.
        others: Replacements of other layers, by their type.
    """
    holder = nn.ModuleList([copy.deepcopy(module).requires_grad_(False)])
    _replace_children(holder, others)
    return holder[0]


def _replace_children(parent: nn.Module, others: Mapping[type, Callable[[Any], Any]]) -> None:
    for name, child in parent.named_children():
        match child:
            case _ if type(child) in others:
                setattr(parent, name, others[type(child)](child))
            case nn.Linear():
                setattr(parent, name, Linear(child))
            case nn.Conv1d():
                setattr(parent, name, _convolution(child, int(child.padding[0]), is_causal=False))
            case nn.Module(conv=nn.Conv1d() as conv):
                padding = zeros_before(child)
                if padding is not None and len(list(child.children())) == 1:  # no norm after it
                    setattr(parent, name, _convolution(conv, padding, is_causal=True))
            case _:
                _replace_children(child, others)


def _convolution(conv: nn.Conv1d, padding: int, is_causal: bool) -> Convolution:
    is_mono = conv.in_channels == 1 and conv.dilation[0] == 1
    return (MonoConvolution if is_mono else Convolution)(conv, padding, is_causal)


def zeros_before(convolution: Any) -> int | None:
    """Return the zeros that a causal convolution of transformers pads; None where it does not."""
    if hasattr(convolution, "left_pad"):
        return int(convolution.left_pad)
    is_plain = convolution.causal and convolution.pad_mode == "constant"
    return int(convolution.padding_total) if is_plain else None


def _channels_last(weight: torch.Tensor) -> nn.Parameter:
    """Return a kernel [C', C, K] as [C', C, 1, K] in channels-last order."""
    rows = weight.detach()[:, :, None].contiguous(memory_format=torch.channels_last)
    return nn.Parameter(rows, requires_grad=False)
