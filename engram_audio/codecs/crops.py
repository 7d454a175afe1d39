"""Crops of train and held-out recordings, and which utterances fit into memory.

Shapes: U recordings, R rows of one (samples, or frames of V values), B crops, C rows of a crop.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from engram_audio.errors import InputError
from engram_audio.numerics.seeds import named_generator


def choose_utterances(
    durations_s: Sequence[float], maximum_s: float, seed: int, part: str
) -> list[int]:
    """Return the numbers of utterances to read, in ascending order.

    All of them where they fit; otherwise they are drawn until `maximum_s` is reached.

    Args:
        durations_s: Duration of each utterance.
        maximum_s: Seconds wanted at most; the utterance that passes it is the last.
        seed: Decides the draw.
        part: Names the draw, for example `train`.
    """
    order = named_generator(seed, "utterances", part).permutation(len(durations_s))
    before = np.cumsum(np.asarray(durations_s, float)[order]) - np.asarray(durations_s)[order]
    return sorted(int(number) for number in order[before < maximum_s])


class Crops:
    """Crops of equal length; recordings shorter than a crop are left out."""

    def __init__(self, recordings: Sequence[np.ndarray], crop_rows: int, part: str) -> None:
        """Keep the recordings, each [R] or [R, V], float32.

        Raises:
            InputError: None is as long as a crop.
        """
        arrays = [np.ascontiguousarray(r, np.float32) for r in recordings if len(r) >= crop_rows]
        if not arrays:
            raise InputError(
                f"codecs: no {part} utterance is as long as a crop; shorten crop_s, or check the "
                "splits"
            )
        self._recordings = [torch.from_numpy(array) for array in arrays]
        self._crop_rows = crop_rows
        counts = [len(array) // crop_rows for array in arrays]
        # A recording is drawn as often as crops fit into it.
        self._owners = np.repeat(np.arange(len(arrays)), counts)
        self._places = np.concatenate([np.arange(count) * crop_rows for count in counts])

    def __len__(self) -> int:
        """How many crops fit side by side."""
        return len(self._owners)

    def draw(self, items: Tensor) -> Tensor:
        """Return crops of the items' recordings at random places, [B, C] or [B, C, V].

        The places come from torch's global generator.
        """
        shares = torch.rand(len(items)).tolist()
        owners = self._owners[items.numpy()]
        spans = [len(self._recordings[owner]) - self._crop_rows + 1 for owner in owners]
        starts = [int(share * span) for share, span in zip(shares, spans, strict=True)]
        return self._stack(owners, starts)

    def fixed(self, items: Sequence[int]) -> Tensor:
        """Return crops side by side by number, [B, C] or [B, C, V]."""
        numbers = list(items)
        return self._stack(self._owners[numbers], self._places[numbers].tolist())

    def spread(self, maximum_crops: int, batch_crops: int) -> list[list[int]]:
        """Return batches of at most so many crop numbers, spread evenly."""
        count = min(max(maximum_crops, 1), len(self))
        chosen = np.linspace(0, len(self) - 1, count).round().astype(int).tolist()
        return [chosen[n : n + batch_crops] for n in range(0, count, batch_crops)]

    def _stack(self, owners: np.ndarray, starts: Sequence[int]) -> Tensor:
        parts = [
            self._recordings[owner][start : start + self._crop_rows]
            for owner, start in zip(owners, starts, strict=True)
        ]
        return torch.stack(parts)
