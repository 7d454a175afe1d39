"""Values that cannot belong to their dimension: one such frame rules every mean and covariance.

A value is absurd where it lies further from its dimension's median than both

- 1000 MADs (median absolute deviations) of the dimension over all frames, and
- 100 times as far as the median utterance goes.

The second spares dimensions that rest most of the time, such as a power or a sparse code: their MAD
is the noise at rest, or zero, while what they do in every utterance is no error. Where both are
zero, as in a dimension that moves in few utterances only, the measure is 1000 times the median
distance of whatever moves at all, over all dimensions. No measure has a unit, so data times any
factor give the same answer.

Shapes: T frames of an utterance, D dimensions, S sampled rows.
"""

import itertools
from typing import NamedTuple

import numpy as np

from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.seeds import named_generator

MAXIMUM_MADS = 1000.0
MAXIMUM_PEAKS = 100.0
SAMPLED_BYTES = 1 << 24  # of frames, and as much of the peaks of utterances
MAXIMUM_SAMPLED = 65536
MINIMUM_SAMPLED = 256  # of very wide frames
SEED = 0


class _Sample:
    """Rows drawn evenly from all that are added: those with the smallest of random keys."""

    def __init__(self, row_bytes: int) -> None:
        wanted = SAMPLED_BYTES // max(row_bytes, 1)
        self._size = min(max(wanted, MINIMUM_SAMPLED), MAXIMUM_SAMPLED)
        self._rows: list[np.ndarray] = []
        self._keys: list[np.ndarray] = []
        self._held, self._limit = 0, 1.0

    def add(self, rows: np.ndarray, keys: np.ndarray) -> None:
        is_drawn = keys <= self._limit
        self._rows.append(rows[is_drawn].astype(np.float32))
        self._keys.append(keys[is_drawn])
        self._held += int(np.count_nonzero(is_drawn))
        if self._held >= 2 * self._size:
            self._shrink()

    def _shrink(self) -> None:
        keys, rows = np.concatenate(self._keys), np.concatenate(self._rows)
        drawn = np.argpartition(keys, self._size - 1)[: self._size]
        self._keys, self._rows = [keys[drawn]], [rows[drawn]]
        self._held, self._limit = self._size, float(keys[drawn].max())

    def rows(self) -> np.ndarray:
        if self._held > self._size:
            self._shrink()
        return np.concatenate(self._rows)


class Bounds(NamedTuple):
    """What a value may be: within `reach` of `median`, each of shape [D]; `mad` for messages."""

    median: np.ndarray
    mad: np.ndarray
    reach: np.ndarray

    def worst(self, frames: np.ndarray) -> tuple[int, int] | None:
        """Return frame and dimension of the value furthest beyond the bounds, or None.

        Args:
            frames: Shape [T, D].
        """
        distance = np.abs(frames - self.median)
        share = np.divide(
            distance, self.reach, out=np.zeros_like(distance), where=distance > self.reach
        )
        if not share.any():
            return None
        frame, dimension = np.unravel_index(int(share.argmax()), share.shape)
        return int(frame), int(dimension)

    def describe(self, frames: np.ndarray, frame: int, dimension: int) -> str:
        """Return one line on a value that is out of bounds."""
        value, median = float(frames[frame, dimension]), float(self.median[dimension])
        mad = float(self.mad[dimension])
        share = f"{abs(value - median) / mad:.2g} MADs" if mad > 0 else "beyond all others,"
        return (
            f"frame {frame}, dimension {dimension}: {value:.6g} is {share} from the median "
            f"{median:.6g}"
        )


class Spread:
    """What the dimensions of many utterances do, from samples of bounded size."""

    def __init__(self, num_dims: int) -> None:
        """Begin with no utterance of D dimensions."""
        self._frames = _Sample(4 * num_dims)
        self._ends = _Sample(8 * num_dims)  # lowest and highest of an utterance
        self._low = np.full(num_dims, np.inf)
        self._high = np.full(num_dims, -np.inf)

    def add(self, name: str, frames: np.ndarray) -> None:
        """Add an utterance; the samples depend on names, not on the order of utterances.

        Args:
            name: Its id.
            frames: Finite, shape [T, D].
        """
        keys = named_generator(SEED, "absurd", name).random(len(frames) + 1)
        ends = np.stack([frames.min(axis=0), frames.max(axis=0)])
        self._frames.add(frames, keys[1:])
        self._ends.add(ends[None], keys[:1])
        self._low, self._high = np.fmin(self._low, ends[0]), np.fmax(self._high, ends[1])

    def bounds(self) -> Bounds:
        """Return what a value may be; the medians are those of the samples."""
        frames, ends = self._frames.rows(), self._ends.rows()
        median = _middle(frames)
        distance = np.abs(frames - median)
        mad, peak = _middle(distance), _middle(np.abs(ends - median).max(axis=1))
        reach = np.maximum(MAXIMUM_MADS * mad, MAXIMUM_PEAKS * peak)
        if not reach.all():
            reach = np.where(reach > 0, reach, MAXIMUM_MADS * _typical_move(distance))
        return Bounds(median, mad, reach)

    def exceeds(self, bounds: Bounds) -> bool:
        """Whether any value of any utterance is out of bounds; no frame is read again."""
        return any(bounds.worst(ends[None]) is not None for ends in (self._low, self._high))


def _typical_move(distance: np.ndarray) -> float:
    """Return the median distance of what moves at all; infinity where nothing does."""
    moved = distance[distance > 0]
    return float(_middle(moved)) if len(moved) else np.inf


def find_absurd(block: LatentBlock) -> dict[int, str]:
    """Return the worst value of each absurd utterance of a block, in words, by utterance number."""
    spread = Spread(block.frames.shape[1])
    edges = list(itertools.pairwise(block.offsets.tolist()))
    for name, (start, stop) in zip(block.utterance_ids, edges, strict=True):
        spread.add(str(name), block.frames[start:stop])
    if not edges:
        return {}
    bounds = spread.bounds()
    if not spread.exceeds(bounds):
        return {}
    found = {}
    for number, (start, stop) in enumerate(edges):
        frames = block.frames[start:stop]
        place = bounds.worst(frames)
        if place is not None:
            found[number] = bounds.describe(frames, *place)
    return found


def _middle(rows: np.ndarray) -> np.ndarray:
    """Return the median along the first axis, of an even number the lower one, in float64.

    A mean of the two in the middle would follow an absurd one of two utterances.
    """
    middle = (len(rows) - 1) // 2
    return np.partition(rows, middle, axis=0)[middle].astype(np.float64)
