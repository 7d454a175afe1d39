"""Inputs of keys: what a key sees of a context.

An input turns frames into the frames it shows, both for a stream of whole utterances and for a
batch of contexts; the two must agree. `is_centred` says that the mean of the speaker's frames so
far is taken from the whole context (`keys/so_far.py`).

Shapes: N frames of a block, B contexts, W frames of a context, D dimensions.
"""

import functools
import importlib.metadata
from typing import Any, Protocol

import numpy as np

from engram_audio import windows
from engram_audio.choices import choices
from engram_audio.errors import InputError
from engram_audio.latents.block import LatentBlock


class KeyInput(Protocol):
    """What an input offers."""

    is_centred: bool

    def window_frames(self, window_frames: int) -> int:
        """Return how many shown frames a context of `window_frames` frames has."""
        ...

    def of_block(self, block: LatentBlock, train_mean: np.ndarray) -> np.ndarray:
        """Return what is shown of every frame of a block, [N, D], float32."""
        ...

    def of_contexts(self, contexts: Any, train_mean: Any) -> Any:
        """Return what is shown of contexts [B, W, D], [B, w, D]; numpy arrays or tensors."""
        ...


class Raw:
    """The frames less the train mean: no key sees a translation of all data."""

    is_centred = False

    def window_frames(self, window_frames: int) -> int:
        """See `KeyInput.window_frames`."""
        return window_frames

    def of_block(self, block: LatentBlock, train_mean: np.ndarray) -> np.ndarray:
        """See `KeyInput.of_block`."""
        return block.frames - train_mean

    def of_contexts(self, contexts: Any, train_mean: Any) -> Any:
        """See `KeyInput.of_contexts`."""
        return contexts - train_mean


class SpeakerCentred(Raw):
    """The frames less the mean of the speaker's frames so far, shrunk to the train mean."""

    is_centred = True


class Increments:
    """x_t - x_{t-1}; a context of W frames has W - 1 of them."""

    is_centred = False

    def window_frames(self, window_frames: int) -> int:
        """See `KeyInput.window_frames`.

        Raises:
            InputError: A context of one frame has no increment.
        """
        if window_frames < 2:
            raise InputError(
                "views.window_frames: increments need a window of at least 2 frames; "
                "raise it or drop the input `increments` from keys.library"
            )
        return window_frames - 1

    def of_block(self, block: LatentBlock, train_mean: np.ndarray) -> np.ndarray:
        """See `KeyInput.of_block`."""
        del train_mean
        return windows.increments(block.frames, block.offsets)

    def of_contexts(self, contexts: Any, train_mean: Any) -> Any:
        """See `KeyInput.of_contexts`."""
        del train_mean
        return contexts[:, 1:] - contexts[:, :-1]


GROUP = "engram_audio.key_inputs"  # of entry points: each is a KeyInput (docs/extend.md)
INPUTS: dict[str, KeyInput] = {
    "raw": Raw(),
    "speaker_centred": SpeakerCentred(),
    "increments": Increments(),
}


def input_names() -> list[str]:
    """Return the names of all inputs: those of this package, and those of others."""
    return [*INPUTS, *sorted(input_entries())]


def input_entries() -> dict[str, importlib.metadata.EntryPoint]:
    """Return the inputs that other packages bring, by name; none takes a name of ours."""
    entries = importlib.metadata.entry_points(group=GROUP)
    return {entry.name: entry for entry in entries if entry.name not in INPUTS}


@functools.cache
def input_of(name: str) -> KeyInput:
    """Return an input.

    Raises:
        InputError: No installed package brings it, or it cannot be imported.
    """
    if name in INPUTS:
        return INPUTS[name]
    found = input_entries()
    if name not in found:
        raise InputError(
            f"input {name!r} of a key: no installed package offers it in the entry-point group "
            f"{GROUP}; offered: {choices(name, found)}"
        )
    try:
        return found[name].load()
    except Exception as error:  # whatever its import raises
        raise InputError(
            f"input {name!r} of a key: {found[name].value} cannot be imported "
            f"({type(error).__name__}: {error}); reinstall it"
        ) from error
