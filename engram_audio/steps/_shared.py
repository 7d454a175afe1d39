"""What the members of one job load once: the first one opens it, and the end closes it."""

from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

from engram_audio.artifacts.digest import file_digest
from engram_audio.errors import InputError

T = TypeVar("T")
_OPEN: list["_Loads"] = []  # of the job that this process runs, if it has members


class _Loads:
    """What is open, by what it was opened of."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._open: dict[Hashable, Any] = {}

    def get(self, key: Hashable, load: Callable[[], AbstractContextManager[Any]]) -> Any:
        if key not in self._open:
            self._open[key] = self._stack.enter_context(load())
        return self._open[key]


@contextmanager
def shared_loads() -> Iterator[None]:
    """Let all steps that run inside of the block share what they load."""
    with ExitStack() as stack:
        _OPEN.append(_Loads(stack))
        try:
            yield
        finally:
            _OPEN.pop()


@contextmanager
def loaded(key: Hashable, load: Callable[[], AbstractContextManager[T]]) -> Iterator[T]:
    """Load, or take what another member of the same job loaded of the same.

    Args:
        key: Names all that decides what is loaded. Nobody may change what comes back.
        load: Opens it.
    """
    if _OPEN:
        yield _OPEN[-1].get(key, load)
        return
    with load() as value:
        yield value


def loaded_once(key: Hashable, load: Callable[[], T]) -> T:
    """Return what needs no closing in the same way."""
    with loaded(key, lambda: nullcontext(load())) as value:
        return value


def content_digest(path: Path) -> str:
    """Return the digest of an input's content: inputs do not change while their job runs.

    Raises:
        InputError: It cannot be read.
    """
    try:
        return loaded_once(("content", path), lambda: file_digest(path))
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); run Snakemake, which makes it"
        ) from error
