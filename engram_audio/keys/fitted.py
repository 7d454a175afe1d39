"""A fitted key: from contexts, or from rows of a stream, to codes.

Shapes: M contexts, W frames of a context, D dimensions, K codes.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from engram_audio.errors import InputError
from engram_audio.keys.config import AnyQuantizer, KeyFamily, NamedKey
from engram_audio.keys.inputs import input_of
from engram_audio.keys.quantizers import pieces
from engram_audio.keys.stream import Shown, shown_source
from engram_audio.latents.block import BlockSource

EVERY_LAG = 0  # the lag of a key that no lag changes


class FittedKey(NamedTuple):
    """A key.

    Attributes:
        name: `<family>.<input>.<quantizer>`.
        lag_frames: The lag it was fitted at; `EVERY_LAG` where none changes it.
        family: Settings of its feature.
        key_input: Name of its input.
        quantizer: Settings of its quantiser.
        num_codes: K.
        num_fitted: Cells of one fit that need train frames; 1 where no cell is fitted.
        window_frames: W.
        pseudo_frames: Frames of the train mean in a speaker's mean so far.
        train_mean: Mean of the train frames, [D], float32.
        features: Arrays of the feature.
        cells: Arrays of the quantiser.
    """

    name: str
    lag_frames: int
    family: KeyFamily
    key_input: str
    quantizer: AnyQuantizer
    num_codes: int
    num_fitted: int
    window_frames: int
    pseudo_frames: float
    train_mean: np.ndarray
    features: Mapping[str, np.ndarray]
    cells: Mapping[str, np.ndarray]

    @property
    def num_rows(self) -> int:
        """Shown frames of a context."""
        return input_of(self.key_input).window_frames(self.window_frames)

    @property
    def state_frames(self) -> int:
        """Frames that a code is made of: the whole context, or its newest ones."""
        named = NamedKey(self.family, self.key_input, self.quantizer, self.num_codes)
        return named.state_frames(self.window_frames)

    @property
    def is_centred(self) -> bool:
        """Whether the mean of the speaker's frames so far is taken from a context."""
        return input_of(self.key_input).is_centred

    def codes(self, contexts: np.ndarray, centres: np.ndarray | None = None) -> np.ndarray:
        """Return the codes of contexts, int32, [M].

        Args:
            contexts: Frames, oldest first, [M, W, D], float32.
            centres: Mean of each speaker's frames so far, less the train mean, [M, D]; for centred
                keys (see `so_far.SpeakerSoFar`).
        """
        features = context_features(self, contexts, centres, self.train_mean, self.features)
        return coded(self.quantizer, self.cells, features).cells


def context_features(
    key: FittedKey, contexts: Any, centres: Any, train_mean: Any, arrays: Mapping[str, Any]
) -> Any:
    """Return the features of contexts [M, W, D], [M, Q]; numpy arrays or tensors alike."""
    shown = input_of(key.key_input).of_contexts(contexts, train_mean)
    if key.is_centred:
        shown = shown - centres[:, None]
    return key.family.of_contexts(shown, arrays)


def features_of_rows(
    family: KeyFamily,
    shown: Shown,
    rows: np.ndarray,
    lag_frames: int,
    num_rows: int,
    arrays: Mapping[str, np.ndarray],
) -> np.ndarray:
    """Return the features of the contexts of target rows of a shown block, [M, Q], float32."""
    found = family.of_rows(shown.frames, rows, lag_frames, num_rows, arrays)
    if shown.centres is not None:
        found = found - family.of_centres(shown.centres[rows - lag_frames], arrays)
    return found.astype(np.float32, copy=False)


class KeyCells(NamedTuple):
    """Codes of contexts under one key.

    Attributes:
        cells: Codes, [M], int32.
        confidence: Minus the squared distance to the own centroid, [M], float32; None where a
            quantiser has no distances.
    """

    cells: np.ndarray
    confidence: np.ndarray | None


def coded(
    quantizer: AnyQuantizer, arrays: Mapping[str, np.ndarray], features: np.ndarray
) -> KeyCells:
    """Return the codes of features [m, Q] under a fitted quantiser, piece by piece."""
    codes, confidence = [], []
    for part in pieces(features, quantizer.num_scores(arrays)):
        if quantizer.has_distances:
            squares = quantizer.squares(part, arrays)
            own = squares.argmin(1)
            least = squares[np.arange(len(part)), own] + np.einsum("mq,mq->m", part, part)
            confidence.append(-np.maximum(least, 0))
        else:
            own = quantizer.codes(part, arrays)
        codes.append(own.astype(np.int32))
    sure = np.concatenate(confidence).astype(np.float32) if confidence else None
    return KeyCells(np.concatenate(codes), sure)


class FittedFamily(NamedTuple):
    """All keys of a family on a representation and a split.

    Attributes:
        name: The family.
        keys: Its keys, in the order of the configuration.
        missing: Keys that lack train frames: K and the reason, by name.
    """

    name: str
    keys: tuple[FittedKey, ...]
    missing: Mapping[str, tuple[int, str]]

    def inputs(self) -> tuple[str, ...]:
        """Return the inputs that some key has, in the order of the configuration."""
        names = [key.split(".")[1] for key in (*(k.name for k in self.keys), *self.missing)]
        return tuple(dict.fromkeys(names))

    def of_input(self, key_input: str, lag_frames: int) -> list[FittedKey]:
        """Return the keys of an input at a lag."""
        lags = (EVERY_LAG, lag_frames)
        return [k for k in self.keys if k.key_input == key_input and k.lag_frames in lags]

    def key(self, name: str, lag_frames: int, source: str) -> FittedKey:
        """Return one key.

        Args:
            name: Its name.
            lag_frames: The lag of the context.
            source: The file, for the message.

        Raises:
            InputError: It lacks train frames, or it was not fitted at this lag.
        """
        for key in self.keys:
            if key.name == name and key.lag_frames in (EVERY_LAG, lag_frames):
                return key
        if name in self.missing:
            reason = self.missing[name][1].removeprefix("not_attempted: ")
            raise InputError(f"{source}: key {name}: {reason}; name a key of fewer codes")
        found = ", ".join(dict.fromkeys(key.name for key in self.keys)) or "none"
        raise InputError(
            f"{source}: has no key {name} at lag {lag_frames}; it has {found}; rerun fit_keys"
        )


def stream_cells(
    keys: Sequence[FittedKey],
    source: BlockSource,
    targets: Sequence[np.ndarray],
    lag_frames: int,
) -> list[KeyCells]:
    """Return the codes of the contexts of a stream's targets, under keys that share their feature.

    Args:
        keys: Keys of one family, input and lag.
        source: Blocks of whole utterances.
        targets: Target rows, ascending, block by block.
        lag_frames: How old the newest frame of a context is.
    """
    if not keys:
        return []
    first = keys[0]
    shown = shown_source(first.key_input, source, first.train_mean, first.pseudo_frames)
    found: list[list[KeyCells]] = [[] for _ in keys]
    for block, rows in zip(shown(), targets, strict=True):
        if len(rows) == 0:
            continue
        features = features_of_rows(
            first.family, block, rows, lag_frames, first.num_rows, first.features
        )
        for place, key in zip(found, keys, strict=True):
            place.append(coded(key.quantizer, key.cells, features))
    return [joined(parts) for parts in found]


def joined(parts: list[KeyCells]) -> KeyCells:
    """Return the cells of all parts, in their order."""
    if not parts:
        return KeyCells(np.empty(0, np.int32), None)
    confidence = [part.confidence for part in parts if part.confidence is not None]
    sure = np.concatenate(confidence) if confidence else None
    return KeyCells(np.concatenate([part.cells for part in parts]), sure)
