"""Progress: a bar on a terminal, now and then a line in a log file."""

import logging
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from tqdm import tqdm

LOG = logging.getLogger(__name__)
LINE_INTERVAL_S = 10.0
ItemT = TypeVar("ItemT")


def track(items: Iterable[ItemT], total: int, label: str, unit: str = "files") -> Iterator[ItemT]:
    """Yield the items and show how far they are.

    Args:
        items: What to pass through.
        total: How many are expected.
        label: What is being done.
        unit: What one item is.
    """
    if sys.stderr.isatty():
        yield from tqdm(items, total=total, desc=label, unit=f" {unit}")
        return
    start = last = time.monotonic()
    count = 0
    for item in items:
        yield item
        count += 1
        now = time.monotonic()
        if now - last >= LINE_INTERVAL_S:
            last = now
            LOG.info("%s: %d of %d %s, %.0f s", label, count, total, unit, now - start)
    LOG.info("%s: %d of %d %s, %.1f s", label, count, total, unit, time.monotonic() - start)


@dataclass(frozen=True)
class Tracked(Generic[ItemT]):
    """What `track` takes, for items that are iterated over more than once."""

    items: Iterable[ItemT]
    total: int
    label: str
    unit: str

    def __iter__(self) -> Iterator[ItemT]:
        """Yield the items anew and show how far they are."""
        return track(self.items, self.total, self.label, self.unit)


class ByteProgress:
    """Callback for downloads: the same, in megabytes."""

    def __init__(self, label: str) -> None:
        """Start the clock."""
        self._label = label
        self._last = time.monotonic()

    def __call__(self, done: int, total: int | None) -> None:
        """Show how far it is: bytes so far, and in all where the server says."""
        now = time.monotonic()
        interval = 0.5 if sys.stderr.isatty() else LINE_INTERVAL_S
        if now - self._last < interval and done != total:
            return
        self._last = now
        whole = f"{total / 1e6:.0f}" if total else "?"
        if sys.stderr.isatty():
            end = "\n" if done == total else ""
            print(f"\r{self._label}: {done / 1e6:.0f} of {whole} MB", end=end, file=sys.stderr)
        else:
            LOG.info("%s: %.0f of %s MB", self._label, done / 1e6, whole)
