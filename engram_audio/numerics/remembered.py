"""A costly function of arrays that remembers its latest results by what it was given."""

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np


def remembered(
    max_bytes: int,
) -> Callable[[Callable[..., np.ndarray]], Callable[..., np.ndarray]]:
    """Make a function of one object and arrays return a result it has already, if it has it.

    The object counts by identity and must not change. Arrays count by content. Results cannot be
    written to.

    Args:
        max_bytes: The results used last stay while they are no larger together, the last one
            always.
    """

    def decorate(function: Callable[..., np.ndarray]) -> Callable[..., np.ndarray]:
        kept: OrderedDict[tuple[Any, ...], tuple[object, np.ndarray]] = OrderedDict()

        @functools.wraps(function)
        def call(owner: object, *arrays: np.ndarray) -> np.ndarray:
            key = (id(owner), *map(_content, arrays))
            if key not in kept:
                result = function(owner, *arrays)
                result.setflags(write=False)
                kept[key] = (owner, result)  # the owner lives on, so nobody else gets its id
            kept.move_to_end(key)
            _forget(kept, max_bytes)
            return kept[key][1]

        return call

    return decorate


def _content(array: np.ndarray) -> tuple[Any, ...]:
    whole = np.ascontiguousarray(array)
    return whole.shape, whole.dtype.str, hashlib.blake2b(whole.data, digest_size=16).digest()


def _forget(kept: OrderedDict[tuple[Any, ...], tuple[object, np.ndarray]], max_bytes: int) -> None:
    size = sum(result.nbytes for _, result in kept.values())
    while size > max_bytes and len(kept) > 1:
        _, (_, result) = kept.popitem(last=False)
        size -= result.nbytes
