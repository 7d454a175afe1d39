"""Word and character errors of a transcript."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

Normalize = Callable[[str], str]


class Errors(NamedTuple):
    """Errors of one transcript; summed over transcripts their ratio is the error rate.

    Attributes:
        num_wrong: Substitutions, deletions and insertions.
        num_true: Words or characters of the reference.
    """

    num_wrong: int
    num_true: int


def edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Return the least number of substitutions, deletions and insertions between two sequences."""
    places = np.arange(len(second) + 1)
    row = places.copy()
    codes = {symbol: number for number, symbol in enumerate(dict.fromkeys((*first, *second)))}
    target = np.array([codes[symbol] for symbol in second], dtype=np.int64)
    for symbol in first:
        below = row + 1  # deleted
        below[1:] = np.minimum(below[1:], row[:-1] + (target != codes[symbol]))
        # an insertion costs one for each place to the right of where it starts
        row = np.minimum.accumulate(below - places) + places
    return int(row[-1])


def word_errors(reference: str, heard: str, normalize: Normalize) -> Errors:
    """Return errors of the words of a transcript, both texts in one spelling."""
    true, found = normalize(reference).split(), normalize(heard).split()
    return Errors(edit_distance(true, found), len(true))


def character_errors(reference: str, heard: str, normalize: Normalize) -> Errors:
    """Return errors of its characters, a space between words among them."""
    true, found = (" ".join(normalize(text).split()) for text in (reference, heard))
    return Errors(edit_distance(true, found), len(true))


def count_words(heard: str, normalize: Normalize) -> int:
    """Return how many words a transcript has."""
    return len(normalize(heard).split())
