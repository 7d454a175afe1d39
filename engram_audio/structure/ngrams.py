"""Coverage of key n-grams: how many held-out sequences of cells were seen in train.

Shape: M targets of a slice, in stream order.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from engram_audio.structure.targets import EVAL, PARTS, TRAIN, VAL


class Coverage(NamedTuple):
    """How many n-grams of a part were seen at least `minimum_count` times in train."""

    order: int
    minimum_count: int
    part: str
    num_ngrams: int
    num_covered: int


def ngram_coverage(
    cells: np.ndarray,
    utterance: np.ndarray,
    part: np.ndarray,
    orders: tuple[int, ...],
    minimum_counts: tuple[int, ...],
) -> Iterator[Coverage]:
    """Yield the coverage of val and eval n-grams of consecutive targets within an utterance.

    n-grams are numbered densely, order by order, so any K and n fit into 64 bits.
    """
    number = np.unique(cells, return_inverse=True)[1].astype(np.int64)
    symbols, num_symbols = number, int(number.max(initial=0)) + 1
    first = np.ones(len(cells), dtype=np.int64)  # how many cells end here within the utterance
    same = np.flatnonzero(np.diff(utterance) == 0) + 1
    for order in range(1, max(orders) + 1):
        if order > 1:
            previous = np.zeros_like(number)
            reach = np.zeros_like(first)
            previous[same], reach[same] = number[same - 1], first[same - 1]
            first = np.where(reach == order - 1, order, 0)
            joined = np.where(first == order, previous * num_symbols + symbols, -1)
            number = np.unique(joined, return_inverse=True)[1].astype(np.int64)
        if order not in orders:
            continue
        whole = first == order
        seen = np.bincount(
            number[whole & (part == TRAIN)], minlength=int(number.max(initial=0)) + 1
        )
        for held_out in (VAL, EVAL):
            counts = seen[number[whole & (part == held_out)]]
            for minimum in minimum_counts:
                yield Coverage(
                    order, minimum, PARTS[held_out], len(counts), int(np.sum(counts >= minimum))
                )
