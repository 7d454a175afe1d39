"""Map a function over files with worker processes, in order."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

ItemT = TypeVar("ItemT")
ResultT = TypeVar("ResultT")
CHUNK_ITEMS = 16


def map_in_processes(
    function: Callable[[ItemT], ResultT], items: Sequence[ItemT], num_workers: int
) -> Iterator[ResultT]:
    """Yield `function(item)` in the order of `items`, whatever the number of workers.

    Workers are started afresh, not forked, so that threads of this process cannot hang them. What
    takes less than a chunk for each worker runs here.

    Args:
        function: Defined at the top of a module.
        items: What to map over.
        num_workers: At most this many processes.
    """
    num_workers = min(num_workers, len(items) // CHUNK_ITEMS)
    if num_workers <= 1:
        yield from map(function, items)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, mp_context=context) as pool:
        yield from pool.map(function, items, chunksize=CHUNK_ITEMS)
