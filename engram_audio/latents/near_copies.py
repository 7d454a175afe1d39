"""Near copies: utterances of different speakers that are one recording, slightly changed.

Splits keep speakers apart. A recording that stands under two speakers may still reach both sides of
a split, and what is learned from it there is no transfer. An utterance's signature is its mean and
its slow movement through time: noise, a gain or some frames less hardly move it.

Shapes: N frames of a block, U utterances, D dimensions, S numbers of a signature, M of them kept.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import scipy.special

from engram_audio.latents.block import LatentBlock
from engram_audio.numerics.seeds import named_generator

WAVES = (3, 12)  # cosines over an utterance: its mean, its slope, its arch, and more in few dims
SIGNATURE_SIZE = 48  # S at most, whatever D: random projections keep distances
MINIMUM_SIZE = 12  # fewer kept numbers tell too few utterances apart
LARGEST_RATIO = 0.35  # of the distance of two that are unrelated
FALSE_ALARMS = 1e-3  # expected number of pairs that are found by chance in the whole corpus
STILL = 1e-3  # an utterance that moves less than this share of the typical one is silence
NAMED = 10  # pairs that a summary lists
ROWS = 1024  # utterances compared with all others at a time


class NearCopy(NamedTuple):
    """Two utterances of different speakers that are nearly the same.

    Attributes:
        first: Utterance.
        second: The other, later in the corpus.
        ratio: Distance of the signatures over that of two unrelated ones of these lengths.
    """

    first: str
    second: str
    ratio: float


class Copied(NamedTuple):
    """What a summary says of near copies.

    Attributes:
        utterance_share: Share of the utterances that have a near copy under another speaker.
        pairs: The nearest pairs, at most `NAMED`.
    """

    utterance_share: float
    pairs: list[NearCopy]

    def document(self) -> dict[str, Any]:
        """Return it as a summary holds it."""
        pairs = [one._asdict() for one in self.pairs]
        return {"utterance_share": self.utterance_share, "pairs": pairs}


class Signatures:
    """Gathers signatures while blocks pass."""

    def __init__(self) -> None:
        self._rows: list[np.ndarray] = []
        self._movement: list[np.ndarray] = []
        self._utterances: list[np.ndarray] = []
        self._speakers: list[np.ndarray] = []

    def watch(self, blocks: Iterable[LatentBlock]) -> Iterator[LatentBlock]:
        """Yield the blocks as they are."""
        for block in blocks:
            self._add(block)
            yield block

    def _add(self, block: LatentBlock) -> None:
        sizes = np.diff(block.offsets)
        if not sizes.all():
            raise ValueError("an utterance of a block has no frame")
        if not len(sizes):
            return
        rows, movement = _signatures(block, sizes)
        self._rows.append(rows)
        self._movement.append(movement)
        self._utterances.append(block.utterance_ids)
        self._speakers.append(block.speaker_ids)

    def copied(self) -> Copied:
        """Return how many utterances have near copies, and the nearest pairs."""
        found = self.near_copies()
        names = {name for one in found for name in (one.first, one.second)}
        num_utterances = sum(len(names) for names in self._utterances)
        nearest = sorted(found, key=lambda one: one.ratio)[:NAMED]
        return Copied(len(names) / max(num_utterances, 1), nearest)

    def near_copies(self) -> list[NearCopy]:
        """Return each utterance with its nearest one of another speaker, where that is a copy."""
        if not self._rows:
            return []
        movement = np.concatenate(self._movement)
        moves = movement > STILL * np.median(movement)
        rows = np.concatenate(self._rows)[moves]
        utterances = np.concatenate(self._utterances)[moves]
        _, speakers = np.unique(np.concatenate(self._speakers)[moves], return_inverse=True)
        return _pairs(_whitened(rows), utterances, speakers)


def _signatures(block: LatentBlock, sizes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return signatures [U, S] and how far each utterance moves about its mean [U]."""
    starts = block.offsets[:-1]
    place = (np.arange(len(block.frames)) - np.repeat(starts, sizes) + 0.5) / np.repeat(
        sizes, sizes
    )
    frames = block.frames.astype(np.float64)
    num_waves = int(np.clip(-(-SIGNATURE_SIZE // frames.shape[1]), *WAVES))
    sums = [
        np.add.reduceat(frames * np.cos(np.pi * wave * place)[:, None], starts) / sizes[:, None]
        for wave in range(num_waves)
    ]
    squares = np.add.reduceat(frames**2, starts) / sizes[:, None]
    movement = (squares - sums[0] ** 2).sum(1)
    rows = np.hstack(sums)
    if rows.shape[1] > SIGNATURE_SIZE:
        generator = named_generator(0, "signatures")
        rows = rows @ generator.standard_normal((rows.shape[1], SIGNATURE_SIZE))
    return rows, movement


def _whitened(rows: np.ndarray) -> np.ndarray:
    """Return signatures with unit variance in every direction in which utterances differ."""
    centred = rows - rows.mean(0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    alive = sizes > sizes.max(initial=0.0) * 1e-6
    return left[:, alive] * np.sqrt(len(rows))


def _pairs(rows: np.ndarray, utterances: np.ndarray, speakers: np.ndarray) -> list[NearCopy]:
    most = _largest_ratio(*rows.shape)
    squares = (rows**2).sum(1)
    found = []
    for start in range(0, len(rows) if most else 0, ROWS):
        chunk = slice(start, start + ROWS)
        sums = squares[chunk, None] + squares
        ratios = np.sqrt(np.maximum(1 - 2 * (rows[chunk] @ rows.T) / sums, 0.0))
        ratios[speakers[chunk, None] == speakers] = np.inf
        nearest = ratios.argmin(1)
        for own in np.flatnonzero(ratios.min(1) <= most):
            first, second = sorted((start + int(own), int(nearest[own])))
            names = str(utterances[first]), str(utterances[second])
            found.append(NearCopy(*names, float(ratios[own, nearest[own]])))
    return sorted({(one.first, one.second): one for one in found}.values())


def _largest_ratio(num_utterances: int, num_kept: int) -> float:
    """Return the ratio below which chance finds a thousandth of a pair; 0 where none is safe.

    The cosine of two directions drawn evenly in M dimensions has cos^2 ~ Beta(1/2, (M - 1) / 2).
    Two signatures of one length at that cosine have the ratio sqrt(1 - cos), others a larger one.
    """
    if num_kept < MINIMUM_SIZE or num_utterances < 2 * num_kept:
        return 0.0
    pairs = num_utterances * (num_utterances - 1) / 2
    square = 1 - scipy.special.betaincinv((num_kept - 1) / 2, 0.5, 2 * FALSE_ALARMS / pairs)
    return float(min(np.sqrt(1 - np.sqrt(square)), LARGEST_RATIO))
