"""Bounds and uniqueness are properties of types: no field of any section is without.

Law: every number of the configuration has a lower and an upper bound, every list names each value
once, every pair is in order, and every text says something.
"""

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, NamedTuple

import pytest
from pydantic import Field, JsonValue, ValidationError
from pydantic.fields import FieldInfo

from engram_audio.config import WorkflowConfig
from engram_audio.frozen_sections import VIEWED
from engram_audio.quantities import Count, Listed, Names, ascending, distinct, ordered, spoken
from engram_audio.section import Section, with_changes

REPEATING = {"strides", "levels"}  # 4, 4, 5: one after the other, each may be as the one before
NO_ENDS = {"num_codes"}  # K1 and K2 of a product: no lower and upper end


class Part(NamedTuple):
    """A type inside of a field, with the bounds that stand on it."""

    name: str
    kind: Any
    marks: tuple[Any, ...]


def parts_of(name: str, kind: Any, marks: tuple[Any, ...] = ()) -> Iterator[Part]:
    """Yield a field's type and the types inside of it; a mark counts for what it stands on."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Annotated:
        yield from parts_of(name, arguments[0], (*marks, *flat(arguments[1:])))
    elif origin in (typing.Union, types.UnionType):
        for inner in arguments:
            yield from parts_of(name, inner, marks)
    else:
        yield Part(name, kind, marks)
        for inner in arguments if origin in (tuple, dict) else ():
            yield from parts_of(name, inner)


def flat(marks: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        m for one in marks for m in (one.metadata if isinstance(one, FieldInfo) else [one])
    )


def sections(kind: Any, found: dict[type[Section], None]) -> None:
    """Collect a section and all sections that its fields name."""
    if isinstance(kind, type) and issubclass(kind, Section) and kind not in found:
        found[kind] = None
        for field in kind.model_fields.values():
            sections(field.annotation, found)
    for inner in typing.get_args(kind):
        sections(inner, found)


def all_sections() -> list[type[Section]]:
    found: dict[type[Section], None] = {}
    for kind in (WorkflowConfig, *VIEWED.values()):
        sections(kind, found)
    return list(found)


def has_bound(part: Part, *names: str) -> bool:
    return any(getattr(mark, name, None) is not None for mark in part.marks for name in names)


def calls(part: Part, *functions: Any) -> bool:
    return any(getattr(mark, "func", None) in functions for mark in part.marks)


def problem(part: Part) -> str | None:
    """What a part of a field leaves open, or None."""
    if part.kind in (int, float):
        if not (has_bound(part, "ge", "gt") and has_bound(part, "le", "lt")):
            return "a number without a lower or an upper bound"
    elif part.kind is str:
        if not (calls(part, spoken) or has_bound(part, "pattern")):
            return "a text that may be blank"
    elif typing.get_origin(part.kind) is tuple:
        ends = typing.get_args(part.kind)
        if ends[-1] is not ... and not calls(part, ordered) and part.name not in NO_ENDS:
            return "a pair that may be reversed"
        if ends[-1] is ... and not calls(part, distinct, ascending) and part.name not in REPEATING:
            return "a list that may name something twice"
    return None


def problems(model: type[Section]) -> list[str]:
    found = []
    for name, field in model.model_fields.items():
        if field.annotation == dict[str, JsonValue]:
            continue  # a plugin's own settings, which it checks itself
        for part in parts_of(name, field.annotation, tuple(field.metadata)):
            if (wrong := problem(part)) is not None:
                found.append(f"{model.__name__}.{name}: {wrong}")
    return found


@pytest.mark.parametrize("model", all_sections(), ids=lambda model: model.__name__)
def test_every_field_has_its_bounds(model: type[Section]):
    assert problems(model) == []


class Bare(Section):
    """Fields that forget something."""

    number: int
    half: float = Field(ge=0)
    names: tuple[str, ...]
    pair: tuple[float, float]


def test_the_law_sees_what_is_forgotten():
    assert len(problems(Bare)) == 7  # the number, the half, the list and its text, pair and ends


class Narrow(Section):
    """Bounds of a field beside those of its type."""

    few: Count = Field(ge=3, le=5)
    wide: Count = Field(ge=-7, le=2**40)
    names: Names = ()
    numbers: Listed[Count] = ()


@pytest.mark.parametrize("changes", [{"few": 2}, {"few": 6}, {"wide": 0}, {"wide": 2**31}])
def test_the_narrowest_bounds_hold(changes: dict[str, Any]):
    """By itself pydantic would take those of the type, which come last."""
    with pytest.raises(ValidationError):
        Narrow.model_validate({"few": 3, "wide": 1, **changes})
    assert Narrow(few=5, wide=1).few == 5


@pytest.mark.parametrize("names", [("a", "a"), ("",), (" ",), (" a",)])
def test_names_are_distinct_and_said(names: tuple[str, ...]):
    with pytest.raises(ValidationError):
        Narrow(few=3, wide=1, names=names)


def test_changed_sections_are_as_valid_as_written_ones():
    section = Narrow(few=3, wide=1)
    assert with_changes(section, "key", {"few": 4}) == Narrow(few=4, wide=1)
    with pytest.raises(ValueError, match=r"^key: few: Input should be less than or equal to 5$"):
        with_changes(section, "key", {"few": 9})
