"""Change one attribute of some modules for as long as a question is asked."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def switched(modules: Sequence[nn.Module], name: str, value: Any) -> Iterator[None]:
    """Set an attribute of modules, and put back what each had before."""
    before = [getattr(module, name) for module in modules]
    for module in modules:
        setattr(module, name, value)
    try:
        yield
    finally:
        for module, own in zip(modules, before, strict=True):
            setattr(module, name, own)
