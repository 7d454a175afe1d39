"""Which contexts of a stream a key looks at, and their features, held or streamed.

Shapes: M contexts in stream order, B blocks, N frames of a block, D dimensions, Q features.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np

from engram_audio import windows
from engram_audio.keys.inputs import input_of
from engram_audio.keys.so_far import SpeakerSoFar
from engram_audio.latents.block import BlockSource, LatentBlock

TRAIN = "train"


class Shown(NamedTuple):
    """A block as an input shows it.

    Attributes:
        block: The block.
        frames: What is shown of each frame, [N, D], float32.
        centres: What is taken from the whole context that ends at a frame, [N, D]; None for 0.
    """

    block: LatentBlock
    frames: np.ndarray
    centres: np.ndarray | None


ShownSource = Callable[[], Iterator[Shown]]


def shown_source(
    name: str, source: BlockSource, train_mean: np.ndarray, pseudo_frames: float
) -> ShownSource:
    """Return the stream of one input; speakers' means begin anew at each reading."""
    key_input = input_of(name)

    def blocks() -> Iterator[Shown]:
        so_far = SpeakerSoFar(train_mean, pseudo_frames) if key_input.is_centred else None
        for block in source():
            centres = so_far.centres(block) if so_far else None
            yield Shown(block, key_input.of_block(block, train_mean), centres)

    return blocks


def train_mean(source: BlockSource, part_of: Mapping[str, str]) -> np.ndarray:
    """Return the mean of the train frames that decide, [D], float64; 0 where there is none."""
    total, count = np.zeros(0), 0
    for block in source():
        is_train = np.repeat(train_utterances(block, part_of), np.diff(block.offsets))
        own = block.frames[is_train & block.scored()]
        total = total if len(total) else np.zeros(block.frames.shape[1])
        total += own.sum(axis=0, dtype=np.float64)
        count += len(own)
    return total / max(count, 1)


def train_utterances(block: LatentBlock, part_of: Mapping[str, str]) -> np.ndarray:
    """Return which utterances of a block are train, bool, [U]."""
    return np.array([part_of[str(name)] == TRAIN for name in block.utterance_ids], dtype=bool)


def train_rows(
    block: LatentBlock, part_of: Mapping[str, str], window_frames: int, lag_frames: int
) -> np.ndarray:
    """Return the target rows of a block's train contexts at a lag, ascending."""
    rows = windows.target_rows(block.offsets, window_frames, lag_frames)
    is_train = train_utterances(block, part_of)[windows.utterance_of_rows(block.offsets, rows)]
    return rows[is_train & block.scored()[rows]]


class FeatureStream:
    """Features of rows of a stream: held in memory where they fit, streamed otherwise."""

    def __init__(
        self,
        stream: Callable[[], Iterator[np.ndarray]],
        num_rows: int,
        num_features: int,
        max_bytes: int,
    ) -> None:
        """Compute all features if they fit into `max_bytes`, none otherwise.

        Args:
            stream: Yields features [m, Q], float32, of all M rows in order, anew at each call.
            num_rows: M.
            num_features: Q.
            max_bytes: What may be held.
        """
        self._stream, self._shape = stream, (num_rows, num_features)
        self._max_bytes, self._row_bytes = max_bytes, 4 * num_features
        self._held: np.ndarray | None = None
        if num_rows * self._row_bytes <= max_bytes:
            self._held = np.empty(self._shape, dtype=np.float32)
            first = 0
            for values in stream():
                self._held[first : first + len(values)] = values
                first += len(values)

    def blocks(self) -> Iterator[np.ndarray]:
        """Yield features of all rows, piece by piece."""
        return iter([self._held]) if self._held is not None else self._stream()

    def sample(self, chosen: np.ndarray | None = None) -> np.ndarray:
        """Return features of rows, evenly thinned to `max_bytes`, [m, Q].

        Args:
            chosen: Ascending rows; all by default.
        """
        rows = np.arange(self._shape[0]) if chosen is None else chosen
        size = min(len(rows), max(self._max_bytes // self._row_bytes, 1))
        rows = rows[(np.arange(size) * len(rows)) // max(size, 1)]
        if self._held is not None:
            return self._held if len(rows) == self._shape[0] else self._held[rows]
        sample, first = np.empty((size, self._shape[1]), dtype=np.float32), 0
        for values in self._stream():
            low, high = np.searchsorted(rows, [first, first + len(values)])
            sample[low:high] = values[rows[low:high] - first]
            first += len(values)
        return sample
