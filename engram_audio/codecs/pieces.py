"""A clip piece by piece on a CPU: what a layer writes is still in the cache for the next layer.

Only the front of a SEANet gains: up to its last stride activations are large and weights small.
Each piece has all the samples before it that reach it, so the result is that of the whole clip up
to rounding. Attention over a short window goes on with the keys and values of the window, instead
of a mask over the whole clip.

Shapes: B clips, S samples, M encoder steps, C channels.
"""

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch

from engram_audio.codecs.receptive_field import Layer, reach_frames

PIECE_S = 1.0  # activations of some MB; measured best between 0.8 and 1.6 s


class Front(NamedTuple):
    """The part of a SEANet that is applied in pieces.

    Attributes:
        num_modules: Modules before the last strided convolution.
        step_samples: Samples of a step of its output.
        reach_steps: Steps before a step whose samples reach it.
    """

    num_modules: int
    step_samples: int
    reach_steps: int


def front_of(modules: Sequence[Any], convolutions: Sequence[Layer]) -> Front:
    """Find the front: `modules` of a SEANet, and the sizes of its `convolutions`."""
    strided = [n for n, m in enumerate(modules) if hasattr(m, "conv") and m.conv.stride[0] > 1]
    last = [n for n, layer in enumerate(convolutions) if layer.stride > 1][-1]
    step = math.prod(layer.stride for layer in convolutions[:last])
    return Front(strided[-1], step, reach_frames(convolutions[:last], step)[0])


def apply(modules: Iterable[Any], hidden: torch.Tensor) -> torch.Tensor:
    """Apply modules one after the other."""
    for module in modules:
        hidden = module(hidden)
    return hidden


def convolve_in_pieces(
    head: Callable[[torch.Tensor], torch.Tensor],
    rest: Callable[[torch.Tensor], torch.Tensor],
    audio: torch.Tensor,
    front: Front,
    rate_hz: int,
) -> torch.Tensor:
    """Apply a front to clips piece by piece.

    Args:
        head: The front for the first piece, which begins with the clip.
        rest: The front for other pieces; how it pads their beginnings is cut away.
        audio: Shape [B, 1, S], S a multiple of the step.
        front: Its sizes.
        rate_hz: Sampling rate.

    Returns:
        Shape [B, C, S / step].
    """
    num_steps = audio.shape[-1] // front.step_samples
    piece_steps = max(round(PIECE_S * rate_hz / front.step_samples), 1)
    outputs = []
    for start in range(0, num_steps, piece_steps):
        first, stop = max(start - front.reach_steps, 0), min(start + piece_steps, num_steps)
        piece = audio[..., first * front.step_samples : stop * front.step_samples]
        outputs.append((rest if first else head)(piece)[..., start - first :])
    return torch.cat(outputs, dim=-1)


def attend_in_pieces(transformer: Any, hidden: torch.Tensor, window: int) -> torch.Tensor:
    """Apply a transformer with a sliding window to [B, M, C], a window of steps at a time."""
    name = cache_name(transformer)
    state: dict[str, Any] = {}
    outputs = []
    for piece in hidden.split(window, dim=1):
        output = transformer(piece, use_cache=True, **state)
        state = {name: getattr(output, name)}
        outputs.append(output.last_hidden_state)
    return torch.cat(outputs, dim=1)


def cache_name(module: Any) -> str:
    """Return what a release of transformers calls the keys and values that are carried along."""
    names = inspect.signature(module.forward).parameters
    return "cache" if "cache" in names else "past_key_values"


def encode_in_pieces(encoder: Any, audio: torch.Tensor, front: Front, rate_hz: int) -> torch.Tensor:
    """Encode [B, 1, S] through an encoder of the Mimi family (SEANet, attention, stride).

    Args:
        encoder: With `encoder_seanet`, `encoder_transformer` and `downsample`.
        audio: Shape [B, 1, S], S a multiple of the hop.
        front: Of its SEANet.
        rate_hz: Sampling rate.

    Returns:
        Latents, shape [B, D, T].
    """
    modules = encoder.encoder_seanet.layers
    early, late = modules[: front.num_modules], modules[front.num_modules :]
    convolve = partial(apply, early)
    hidden = apply(late, convolve_in_pieces(convolve, convolve, audio, front, rate_hz))
    steps, window = hidden.transpose(1, 2), int(encoder.config.sliding_window)
    if steps.shape[1] > 2 * window:
        steps = attend_in_pieces(encoder.encoder_transformer, steps, window)
    else:
        steps = encoder.encoder_transformer(steps).last_hidden_state
    return encoder.downsample(steps.transpose(1, 2))


def stream_encoder(encoder: Any, audio: torch.Tensor, chunk_samples: int) -> torch.Tensor:
    """Encode [1, 1, S] through an encoder of the Mimi family as a live one does, to [1, D, T]."""
    name = cache_name(encoder)
    state: dict[str, Any] = {}
    latents = []
    for piece in audio.split(chunk_samples, dim=-1):
        output = encoder(piece, use_streaming=True, **state)
        state = {name: getattr(output, name), "padding_cache": output.padding_cache}
        latents.append(output.latents)
    return torch.cat(latents, dim=-1)
