"""How far convolutions and attention windows reach beyond a frame, from a checkpoint's sizes."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple


class Layer(NamedTuple):
    """A strided convolution, or attention over a window (a kernel of that many steps).

    Attributes:
        kernel: Taps.
        stride: Input steps of an output step.
        dilation: Steps between taps.
        padding_left: Steps padded before the first; None pads so that nothing looks ahead.
    """

    kernel: int
    stride: int = 1
    dilation: int = 1
    padding_left: int | None = None


def reach_frames(layers: Iterable[Layer], hop_samples: int) -> tuple[int, int]:
    """Return how many whole frames before and after a frame its latent can depend on.

    Args:
        layers: From the waveform to the latents; their strides multiply to the hop.
        hop_samples: Samples of a frame.
    """
    before = after = 0
    step = 1
    for layer in layers:
        extent = (layer.kernel - 1) * layer.dilation
        causal = extent - (layer.stride - 1)
        left = causal if layer.padding_left is None else layer.padding_left
        before += left * step
        after += (causal - left) * step
        step *= layer.stride
    return -(-max(before, 0) // hop_samples), -(-max(after, 0) // hop_samples)


def seanet_layers(
    kernel: int,
    ratios: Sequence[int],
    num_residual_layers: int,
    dilation_growth: int,
    residual_kernel: int,
    last_kernel: int,
) -> list[Layer]:
    """Return the convolutions of a SEANet encoder; `ratios` in the encoder's order."""
    layers = [Layer(kernel)]
    for ratio in ratios:
        for number in range(num_residual_layers):
            layers.append(Layer(residual_kernel, dilation=dilation_growth**number))
        layers.append(Layer(2 * ratio, stride=ratio))
    return [*layers, Layer(last_kernel)]
