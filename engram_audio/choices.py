"""Names that must be among others: one clear line with the nearest match where they are not."""

import difflib
from collections.abc import Iterable, Mapping
from typing import TypeVar

ValueT = TypeVar("ValueT")


def choices(value: object, allowed: Iterable[object]) -> str:
    """Return what is allowed, in words, with the nearest match."""
    names = [str(name) for name in allowed]
    nearest = difflib.get_close_matches(str(value), names, n=1, cutoff=0.5)
    hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
    return f"{', '.join(names) or '(none)'}{hint}"


def require(key: str, value: object, allowed: Iterable[object]) -> None:
    """Refuse a value that is not allowed.

    Raises:
        ValueError: Names the key, the value, what is allowed and the nearest of it.
    """
    allowed = list(allowed)
    if value not in allowed:
        raise ValueError(f"{key}: {value!r} is not one of {choices(value, allowed)}")


def require_listed(key: str, value: object, listed: str, names: Iterable[object]) -> None:
    """Refuse a name or number that a list of the configuration does not hold.

    Args:
        key: The key whose value is `value`.
        value: A name, or a lag or seed.
        listed: The key of the list, for example `prediction.heads`.
        names: What the list holds.

    Raises:
        ValueError: Names both keys, and what the list holds.
    """
    names = list(names)
    if value not in names:
        raise ValueError(
            f"{key}: {value!r} is not one of {choices(value, names)}; only what {listed} lists is "
            "run"
        )


def with_points(
    key: str, runs: Mapping[str, ValueT], points: Iterable[tuple[str, ValueT]]
) -> dict[str, ValueT]:
    """Return what runs and the points of a grid, each under a name of its own.

    Args:
        key: The key of the grid, for example `rollout.grids.grid`.
        runs: What runs already, by name.
        points: Names and what they stand for.

    Raises:
        ValueError: Two would have one name.
    """
    named = dict(runs)
    for name, point in points:
        if name in named:
            raise ValueError(
                f"{key}: gives a second entry called {name}; rename the grid or the other entry, "
                "or take values apart that agree in six digits"
            )
        named[name] = point
    return named


def chosen(
    key: str, names: Iterable[str], library: Mapping[str, ValueT], where: str
) -> dict[str, ValueT]:
    """Return the entries of a library that a list names, in the list's order.

    Args:
        key: The key of the list, for example `memory.memories`.
        names: What the list holds.
        library: Definitions by name.
        where: The key of the library, for example `memory.library`.

    Raises:
        ValueError: A name has no definition.
    """
    found = {}
    for name in names:
        if name not in library:
            raise ValueError(
                f"{key}: {name!r} is not defined in {where}, which holds {choices(name, library)}"
            )
        found[name] = library[name]
    return found
