"""Slices of targets, the same for every stage, and evenly thinned subsets of a stream.

Shapes: N frames of a block, U utterances, M targets.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from engram_audio import windows


def slice_masks(
    offsets: np.ndarray,
    targets: np.ndarray,
    names: Sequence[str],
    medial_range: tuple[float, float],
    is_speech: np.ndarray,
) -> np.ndarray:
    """Return which targets are in which slice (SCIENCE 3), bool, shape [num_slices, M].

    Args:
        offsets: Utterance offsets of a block, [U + 1].
        targets: Rows of the targets, [M].
        names: `all`, `speech`, or `initial`, `medial`, `final` (position (t + 1/2) / T cut at
            `medial_range`).
        medial_range: Where `medial` begins, and where it ends.
        is_speech: Whether the newest frame of each target's context is loud, bool, [M].
    """
    low, high = medial_range
    position = windows.position_fraction(offsets, targets)
    masks = {
        "all": np.ones(len(targets), dtype=bool),
        "speech": is_speech,
        "initial": position < low,
        "medial": (position >= low) & (position < high),
        "final": position >= high,
    }
    return np.stack([masks[name] for name in names])


LOUD_QUANTILE = 0.95


class LoudEnergies:
    """The 95th percentile of each speaker's energy, over frames that decide."""

    def __init__(self) -> None:
        """Start empty."""
        self._energies: dict[str, list[np.ndarray]] = {}

    def add(
        self, speaker_ids: np.ndarray, offsets: np.ndarray, energy: np.ndarray, scored: np.ndarray
    ) -> None:
        """Add a block: speakers [U], offsets [U + 1], energy [N], and which frames decide [N]."""
        for name, start, stop in zip(speaker_ids, offsets[:-1], offsets[1:], strict=True):
            own = energy[start:stop][scored[start:stop]]
            self._energies.setdefault(str(name), []).append(own)

    def quantiles(self) -> dict[str, float]:
        """Return the percentile by speaker; a speaker without such frames is infinitely loud."""
        joined = {name: np.concatenate(own) for name, own in self._energies.items()}
        return {
            name: float(np.quantile(own, LOUD_QUANTILE)) if len(own) else np.inf
            for name, own in joined.items()
        }


def speech_mask(
    offsets: np.ndarray,
    energy: np.ndarray,
    targets: np.ndarray,
    lag_frames: int,
    levels: np.ndarray,
) -> np.ndarray:
    """Return whether the newest frame of each target's context is speech, bool, [M].

    The context is judged and not the target, whose energy nobody knows beforehand.

    Args:
        offsets: Utterance offsets, [U + 1].
        energy: [N].
        targets: Rows of the targets, [M].
        lag_frames: k.
        levels: Energy of each utterance's speaker above which a frame is speech, [U].
    """
    return energy[targets - lag_frames] > levels[windows.utterance_of_rows(offsets, targets)]


def speech_levels(
    loud: Mapping[str, float], speaker_ids: np.ndarray, range_db: float
) -> np.ndarray:
    """Return the energy above which a frame is speech, of each utterance's speaker, [U].

    Args:
        loud: 95th percentile of each speaker's energy (an amplitude); infinite where unknown.
        speaker_ids: Speakers of the utterances, [U].
        range_db: Decibels below it that still are speech.
    """
    factor = 10 ** (-range_db / 20)
    return np.array([loud[str(name)] * factor for name in speaker_ids], dtype=np.float64)


class EveryNth:
    """Chooses every n-th item of a stream, n so that at most `maximum` of `total` are chosen."""

    def __init__(self, total: int, maximum: int) -> None:
        """Fix n."""
        self.stride = max(-(-total // maximum), 1)
        self._seen = 0

    def choose(self, count: int) -> np.ndarray:
        """Return the chosen positions among the next `count` items."""
        first = -self._seen % self.stride
        self._seen += count
        return np.arange(first, count, self.stride)
