"""Encoding on a CPU: a front piece by piece, what follows it for many clips at once.

At the front of an encoder activations are large and weights small: clip by clip, in pieces, what a
layer writes is still in the cache for the next. Further on it is the other way round: weights are
read once for all clips of a batch. Each piece has all the samples around it that reach it, so the
result is that of the whole clip up to rounding. Attention over a short window goes on with the keys
and values of the window, instead of a mask over the whole clip.

Shapes: B clips, S samples, M encoder steps, C channels, T frames, D dimensions.
"""

import inspect
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from engram_audio.codecs.channels_last import channels_last
from engram_audio.codecs.receptive_field import Layer, reach_frames

PIECE_S = 1.0  # activations of some MB; measured best between 0.8 and 1.6 s
LARGEST_REACH = 0.1  # of a piece: what is computed twice
LATE_CLIPS = 4  # at most so many share a reading of the late weights
Stage = Callable[[torch.Tensor], torch.Tensor]
Map = Callable[[Callable[..., Any], Iterable[Any]], Iterable[Any]]


class Front(NamedTuple):
    """The part of an encoder that is applied in pieces.

    Attributes:
        cut: Which of the places to cut was chosen.
        step_samples: Samples of a step of its output.
        before_steps: Steps before a step whose samples reach it.
        after_steps: Steps after it.
    """

    cut: int
    step_samples: int
    before_steps: int
    after_steps: int


def front_of(layers: Sequence[Layer], cuts: Sequence[int], rate_hz: int) -> Front:
    """Choose the longest front whose pieces need little beyond themselves.

    Args:
        layers: The encoder's convolutions.
        cuts: How many of them come before each place where the encoder can be cut.
        rate_hz: Sampling rate.
    """
    fronts = []
    for number, cut in enumerate(cuts):
        step = math.prod(layer.stride for layer in layers[:cut])
        fronts.append(Front(number, step, *reach_frames(layers[:cut], step)))
    most = LARGEST_REACH * PIECE_S * rate_hz
    near = [one for one in fronts if (one.before_steps + one.after_steps) * one.step_samples < most]
    return (near or fronts[:1])[-1]


def before_strides(layers: Sequence[Layer]) -> list[int]:
    """Return how many convolutions come before each strided one."""
    return [number for number, layer in enumerate(layers) if layer.stride > 1]


class PieceEncoder(NamedTuple):
    """An encoder cut in two.

    Attributes:
        front: Sizes of the front.
        head: The front for the first piece, which begins with the clip.
        rest: The front for other pieces; how it pads their beginnings is cut away.
        late: What follows the front, [B, C, M] to [B, T, D].
        rate_hz: Sampling rate.
    """

    front: Front
    head: Stage
    rest: Stage
    late: Stage
    rate_hz: int

    def encode(self, clips: Sequence[torch.Tensor], parallel: Map = map) -> list[torch.Tensor]:
        """Encode clips [1, 1, S], to [T, D] each and, after short clips, frames of the padding.

        The groups that share the late weights depend on the number of clips, never on that of the
        threads: these change no bit. Company moves a clip by rounding; in an EnCodec, frames of the
        cold start of a clip that is as short.

        Args:
            clips: Waveforms.
            parallel: Maps functions over sequences in order, perhaps in threads.
        """
        spans = [self.spans(clip.shape[-1]) for clip in clips]
        jobs = [(clip, *span) for clip, ends in zip(clips, spans, strict=True) for span in ends]
        pieces = iter(parallel(lambda job: self.convolve(*job), jobs))
        steps = [torch.cat([next(pieces) for _ in ends]) for ends in spans]
        starts = np.linspace(0, len(steps), -(-len(steps) // LATE_CLIPS) + 1).astype(int)
        groups = [steps[start:stop] for start, stop in itertools.pairwise(starts)]
        return [rows for group in parallel(self.finish, groups) for rows in group]

    def spans(self, num_samples: int) -> list[tuple[int, int]]:
        """Return the first and last step (exclusive) of the pieces of a clip."""
        front = self.front
        num_steps = num_samples // front.step_samples
        piece_steps = max(round(PIECE_S * self.rate_hz / front.step_samples), 1)
        # a front of its own for the head is the slower one: the first piece is short
        head_steps = piece_steps if self.head is self.rest else 2 * front.before_steps
        starts = [0, *range(head_steps, num_steps, piece_steps)]
        return list(zip(starts, [*starts[1:], num_steps], strict=True))

    @torch.inference_mode()
    def convolve(self, clip: torch.Tensor, start: int, stop: int) -> torch.Tensor:
        """Apply the front to one piece of a clip [1, 1, S]; returns its steps [M, C]."""
        front, num_steps = self.front, clip.shape[-1] // self.front.step_samples
        first = max(start - front.before_steps, 0)
        last = min(stop + front.after_steps, num_steps)
        piece = clip[..., first * front.step_samples : last * front.step_samples]
        output = (self.rest if first else self.head)(piece)
        return output[0, :, start - first : stop - first].T

    @torch.inference_mode()
    def finish(self, steps: Sequence[torch.Tensor]) -> torch.Tensor:
        """Apply the rest to steps [M, C] of several clips; returns [B, T, D]."""
        padded = nn.utils.rnn.pad_sequence(list(steps), batch_first=True)
        return self.late(padded.transpose(1, 2))


def apply(modules: Iterable[Any], hidden: torch.Tensor) -> torch.Tensor:
    """Apply modules one after the other."""
    for module in modules:
        hidden = module(hidden)
    return hidden


def cut_seanet(modules: Any, layers: Sequence[Layer], rate_hz: int) -> tuple[Front, Any, Any]:
    """Cut the modules of a SEANet before one of its strides: sizes, the front, the rest."""
    front = front_of(layers, before_strides(layers), rate_hz)
    strided = [
        n for n, one in enumerate(modules) if hasattr(one, "conv") and one.conv.stride[0] > 1
    ]
    place = strided[front.cut]
    return front, modules[:place], modules[place:]


def convolutional_pieces(
    front: Front, early: Iterable[Any], late: Iterable[Any], rate_hz: int, head: Any = None
) -> PieceEncoder:
    """Cut an encoder that is modules one after the other, in channels-last order already.

    Args:
        front: Sizes of the front.
        early: Modules of the front.
        late: Modules after it.
        rate_hz: Sampling rate.
        head: Modules of the front for the first piece, where they differ.
    """
    rest = partial(apply, early)
    return PieceEncoder(
        front,
        rest if head is None else partial(apply, head),
        rest,
        lambda hidden: apply(late, hidden).transpose(1, 2),
        rate_hz,
    )


def mimi_pieces(
    encoder: Any, layers: Sequence[Layer], rate_hz: int, in_space: Stage
) -> PieceEncoder:
    """Cut an encoder of the Mimi family (SEANet, attention, stride).

    Args:
        encoder: With `encoder_seanet`, `encoder_transformer` and `downsample`.
        layers: Convolutions of its SEANet.
        rate_hz: Sampling rate.
        in_space: Maps what the encoder gives, [B, D, T], to the space that is asked for.
    """
    front, *parts = cut_seanet(encoder.encoder_seanet.layers, layers, rate_hz)
    early, late, transformer, downsample = map(
        channels_last, (*parts, encoder.encoder_transformer, encoder.downsample)
    )
    window = int(encoder.config.sliding_window)

    def finish(hidden: torch.Tensor) -> torch.Tensor:
        steps = apply(late, hidden).transpose(1, 2)
        if steps.shape[1] > 2 * window:
            steps = attend_in_pieces(transformer, steps, window)
        else:
            steps = transformer(steps).last_hidden_state
        return in_space(downsample(steps.transpose(1, 2))).transpose(1, 2)

    convolve = partial(apply, early)
    return PieceEncoder(front, convolve, convolve, finish, rate_hz)


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
