"""Controls: the same labels, torn from their frames.

`permuted` draws labels at random among the frames of a part. `swapped` gives an utterance the
labels of another one of the same part, circularly shifted and repeated to its length: labels keep
their autocorrelation, which a permutation hides. Both are index arrays, made once for a slice and
the same for every key; cell means are fitted again under the torn labels.

Shape: M targets of a slice.
"""

import numpy as np

from engram_audio.structure.targets import PARTS, SliceTargets

CONTROLS = ("permuted", "swapped")


def permuted_index(targets: SliceTargets, generator: np.random.Generator) -> np.ndarray:
    """Return, for each target, the target of the same part whose label it takes, [M]."""
    index = np.arange(len(targets.part), dtype=np.int32)
    for part in range(len(PARTS)):
        members = np.flatnonzero(targets.part == part)
        index[members] = generator.permutation(members)
    return index


def swapped_index(targets: SliceTargets, generator: np.random.Generator) -> np.ndarray | None:
    """Return, for each target, the target of another utterance whose label it takes, [M].

    None where a part has one utterance only: it has nobody to swap with.
    """
    index = np.empty(len(targets.part), dtype=np.int32)
    # targets are in stream order, so the targets of an utterance are adjacent
    first = np.flatnonzero(np.diff(targets.utterance, prepend=-1))
    length = np.diff(first, append=len(targets.utterance))
    part = targets.part[first]
    for number in range(len(PARTS)):
        members = np.flatnonzero(part == number)
        if len(members) == 1:
            return None
        order = generator.permutation(members)
        donor = np.roll(order, 1)  # the next in a cycle: never the utterance itself
        shift = (generator.random(len(order)) * length[donor]).astype(np.int64)
        for own, other, offset in zip(order.tolist(), donor.tolist(), shift.tolist(), strict=True):
            place = (np.arange(int(length[own])) + offset) % int(length[other])
            index[first[own] : first[own] + length[own]] = first[other] + place
    return index
