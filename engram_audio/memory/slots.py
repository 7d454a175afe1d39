"""Which table entry a context reads: a dictionary from n-grams seen in train to slots.

Shapes: B targets, N train targets, S slots, R frames per slot, O orders.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from engram_audio.keys.encoder import KeyEncoder
from engram_audio.memory.ngrams import ngram_ids


class SlotMap(nn.Module):
    """Slots of n-grams, order by order; slot S, after the last, is the miss."""

    def __init__(self, orders: Sequence[int], known: Sequence[np.ndarray]) -> None:
        """Keep the sorted n-gram numbers of each order; their slots follow one another."""
        super().__init__()
        self.orders = tuple(orders)
        for number, values in enumerate(known):
            self.register_buffer(f"known_{number}", torch.as_tensor(values, dtype=torch.int64))
        sizes = [len(values) for values in known]
        self.first = tuple(int(n) for n in np.concatenate([[0], np.cumsum(sizes)]))

    @property
    def num_slots(self) -> int:
        """S."""
        return self.first[-1]

    def known(self, number: int) -> Tensor:
        """Return the sorted n-gram numbers of the order at a place."""
        return getattr(self, f"known_{number}")

    def slots(self, codes: Tensor, num_codes: int) -> Tensor:
        """Return the slot of the first order that was seen in train, else S, shape [B].

        Args:
            codes: Newest first, shape [B, n], n at least the largest order.
            num_codes: Codes there can be.
        """
        slot = torch.full((len(codes),), self.num_slots, dtype=torch.int64, device=codes.device)
        for number in range(len(self.orders) - 1, -1, -1):
            known = self.known(number)
            if not len(known):
                continue
            wanted = ngram_ids(codes, self.orders[number], num_codes)
            place = torch.searchsorted(known, wanted).clamp_max(len(known) - 1)
            is_known = known[place] == wanted
            slot = torch.where(is_known, place + self.first[number], slot)
        return slot


class SlotFrames(NamedTuple):
    """Train targets by slot, at most R per slot, evenly spaced.

    Attributes:
        items: Numbers of train targets, those of a slot adjacent, shape [n].
        starts: First position of each slot, shape [S + 1].
        counts: All train targets of each slot, shape [S].
    """

    items: np.ndarray
    starts: np.ndarray
    counts: np.ndarray


def build_slots(
    codes: Tensor,
    key: KeyEncoder,
    orders: Sequence[int],
    minimum_count: int,
    frames_per_slot: int,
    maximum_slots: int,
) -> tuple[SlotMap, SlotFrames]:
    """Number the n-grams of train that are seen often enough, and gather their frames.

    An entry of a lower order is fitted on all its frames, also those that a higher order serves.

    Args:
        codes: Of train targets, newest first, shape [N, n].
        key: What made them.
        orders: Orders, first found first.
        minimum_count: Train targets that an entry needs.
        frames_per_slot: R.
        maximum_slots: Entries of an order at most; the most frequent stay.
    """
    known, items, sizes, counts = [], [], [], []
    for order in orders:
        numbers = ngram_ids(codes, order, key.num_codes).cpu().numpy()
        values, slot, total = np.unique(numbers, return_inverse=True, return_counts=True)
        kept = (total >= minimum_count) & _most_frequent(total, maximum_slots)
        known.append(values[kept])
        renumbered = np.where(kept, np.cumsum(kept) - 1, -1)[slot]
        chosen = np.flatnonzero(renumbered >= 0)
        chosen = chosen[np.argsort(renumbered[chosen], kind="stable")]
        own = _evenly(total[kept], frames_per_slot)
        items.append(chosen[own.rows])
        sizes.append(own.sizes)
        counts.append(total[kept])
    starts = np.concatenate([[0], np.cumsum(np.concatenate(sizes))]).astype(np.int64)
    frames = SlotFrames(np.concatenate(items), starts, np.concatenate(counts))
    return SlotMap(orders, known), frames


def _most_frequent(counts: np.ndarray, maximum: int) -> np.ndarray:
    """Which are among the `maximum` largest counts; the earlier of a tie, bool."""
    chosen = np.zeros(len(counts), bool)
    chosen[np.argsort(-counts, kind="stable")[:maximum]] = True
    return chosen


class _Chosen(NamedTuple):
    rows: np.ndarray
    sizes: np.ndarray


def _evenly(counts: np.ndarray, maximum: int) -> _Chosen:
    """Positions of at most `maximum` evenly spaced members of each consecutive group."""
    sizes = np.minimum(counts, maximum)
    group = np.repeat(np.arange(len(counts)), sizes)
    rank = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    inside = rank * counts[group] // np.maximum(sizes[group], 1)
    return _Chosen((np.cumsum(counts) - counts)[group] + inside, sizes)
