"""Bounds on a configuration that hold before any of its values is used or written out.

The checks behind this one compare lists with lists, multiply numbers and search for nearest names.
Each is quick because nothing that passes here is large.
"""

import itertools
from collections.abc import Iterator
from typing import Any

from engram_audio.config_plain import plain_problem
from engram_audio.errors import InputError

MAXIMUM_VALUES = 100_000
MAXIMUM_DEPTH = 50
MAXIMUM_ENTRIES = 1000  # of one list or map
MAXIMUM_CHARACTERS = 4096  # of one text: the longest path that Linux takes
MAXIMUM_INTEGER = 2**63 - 1  # what NumPy and torch hold, seeds included
SHOWN_CHARACTERS = 120

Place = tuple[object, ...]


def require_bounded(raw: Any) -> None:
    """Refuse what is too large, too deep, tied in a circle by YAML aliases, or no plain value.

    Raises:
        InputError: Names the key, what was found and what is allowed.
    """
    level: list[tuple[Place, Any]] = [((), raw)]
    num_values = 0
    for _ in range(MAXIMUM_DEPTH):
        num_values += len(level)
        if not level:
            return
        if num_values > MAXIMUM_VALUES:
            break
        for place, value in level:
            _require_small(place, value)
            _require_plain(place, value)
        level = list(itertools.islice(_parts(level), MAXIMUM_VALUES + 1))
    raise InputError(
        f"configuration: more than {MAXIMUM_VALUES} values or {MAXIMUM_DEPTH} levels, aliases "
        "written out; use fewer YAML aliases"
    )


def _parts(level: list[tuple[Place, Any]]) -> Iterator[tuple[Place, Any]]:
    for place, node in level:
        match node:
            case dict():
                yield from (((*place, key), value) for key, value in node.items())
            case list() | tuple():
                yield from (((*place, number), value) for number, value in enumerate(node))


def _require_small(place: Place, value: Any) -> None:
    for part in (value, *place[-1:]):
        match part:
            case str() if len(part) > MAXIMUM_CHARACTERS:
                raise _refusal(place, f"{len(part)} characters", f"{MAXIMUM_CHARACTERS} characters")
    match value:
        case dict() | list() | tuple() if len(value) > MAXIMUM_ENTRIES:
            raise _refusal(place, f"{len(value)} entries", f"{MAXIMUM_ENTRIES} entries")
        case int() if abs(value) > MAXIMUM_INTEGER:
            # never written out: the digits of a long number take quadratic time
            raise _refusal(place, f"a number of {value.bit_length()} bits", "63 bits and a sign")


def _require_plain(place: Place, value: Any) -> None:
    problem = plain_problem(place[-1] if place else "", value)
    if problem is not None:
        raise InputError(f"{_name(place)}: {problem}")


def _refusal(place: Place, found: str, allowed: str) -> InputError:
    return InputError(f"{_name(place)}: has {found}, at most {allowed} are taken; shorten it")


def _name(place: Place) -> str:
    return ".".join(_shown(part) for part in place) or "configuration"


def _shown(part: object) -> str:
    text = part if isinstance(part, str) else ascii(part)
    shown = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}.."
    return shown if shown.isprintable() else ascii(shown)
