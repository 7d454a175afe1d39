"""A clip piece by piece on a CPU: what a layer writes is still in the cache for the next layer.

Each piece of convolutions has all the samples before (and after) it that reach it, so the result is
that of the whole clip up to rounding. Attention over a short window goes on with the keys and
values of the window, instead of a mask over the whole clip.

Shapes: B clips, S samples, M encoder steps, C channels.
"""

import inspect
from collections.abc import Callable
from typing import Any

import torch

PIECE_S = 1.0  # activations of some MB; measured best between 0.8 and 1.6 s


def convolve_in_pieces(
    convolve: Callable[[torch.Tensor], torch.Tensor],
    audio: torch.Tensor,
    step_samples: int,
    piece_steps: int,
    reach: tuple[int, int],
) -> torch.Tensor:
    """Apply strided convolutions to a clip piece by piece.

    Args:
        convolve: From [B, 1, S] to [B, C, S / step_samples].
        audio: Shape [B, 1, S], S a multiple of the step.
        step_samples: The convolutions' strides, multiplied.
        piece_steps: Steps of a piece.
        reach: Steps before and after a step whose samples reach it.

    Returns:
        Shape [B, C, S / step_samples].
    """
    num_steps = audio.shape[-1] // step_samples
    outputs = []
    for start in range(0, num_steps, piece_steps):
        stop = min(start + piece_steps, num_steps)
        first, last = max(start - reach[0], 0), min(stop + reach[1], num_steps)
        output = convolve(audio[..., first * step_samples : last * step_samples])
        outputs.append(output[..., start - first : stop - first])
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


def encode_in_pieces(
    encoder: Any, audio: torch.Tensor, step_samples: int, reach_steps: int, rate_hz: int
) -> torch.Tensor:
    """Encode [B, 1, S] through an encoder of the Mimi family (SEANet, attention, stride).

    Args:
        encoder: With `encoder_seanet`, `encoder_transformer` and `downsample`.
        audio: Shape [B, 1, S], S a multiple of the hop.
        step_samples: Samples of a step of the transformer.
        reach_steps: Steps before a step whose samples reach it through the SEANet.
        rate_hz: Sampling rate.

    Returns:
        Latents, shape [B, D, T].
    """
    piece_steps = max(round(PIECE_S * rate_hz / step_samples), 1)
    hidden = convolve_in_pieces(
        encoder.encoder_seanet, audio, step_samples, piece_steps, (reach_steps, 0)
    ).transpose(1, 2)
    window = int(encoder.config.sliding_window)
    if hidden.shape[1] > 2 * window:
        hidden = attend_in_pieces(encoder.encoder_transformer, hidden, window)
    else:
        hidden = encoder.encoder_transformer(hidden).last_hidden_state
    return encoder.downsample(hidden.transpose(1, 2))


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
