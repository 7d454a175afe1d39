"""Base class of every configuration section."""

import json
import math
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from engram_audio.errors import InputError

SectionT = TypeVar("SectionT", bound="Section")


class Section(BaseModel):
    """A strict, frozen part of the configuration.

    Unknown keys are refused, strings are not taken for numbers, and units live in the key names
    (`window_frames`, `duration_s`). Fields carry a `description`; scientific values have no
    default, because the YAML file is the experiment.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False,
        defer_build=True,  # on first use: a step reads few of the sections that it can name
    )  # fmt: skip

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        """Let the narrowest bounds of each field hold, its own or those of its type."""
        super().__pydantic_init_subclass__(**kwargs)
        for field in cls.model_fields.values():
            field.metadata = narrowest_last(field.metadata)


def narrowest_last(metadata: Iterable[Any]) -> list[Any]:
    """Return a field's metadata in the order in which pydantic takes the narrowest bounds.

    Of two lower bounds pydantic takes the last, and a field's own stands before that of its type.
    """

    def rank(item: Any) -> float:
        lower = getattr(item, "ge", 0) + getattr(item, "gt", 0)
        return lower - getattr(item, "le", 0) - getattr(item, "lt", 0)

    return sorted(metadata, key=rank)


def validated(kind: Any, value: Any, source: str, strict: bool = True) -> Any:
    """Return a plain value as its type: a section, a union of sections by `kind`, a number.

    Args:
        kind: Any type that pydantic knows.
        value: What JSON can hold.
        source: Where the value comes from, for the message.
        strict: Whether a text is no number.

    Raises:
        InputError: The value does not fit.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(value), strict=strict)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in first["loc"])
        raise InputError(f"{source}: {place}{first['msg']}, found {first['input']!r}") from error


def with_changes(section: SectionT, key: str, changes: Mapping[str, Any]) -> SectionT:
    """Return a section with other values, which must be as valid as written ones.

    pydantic's own `model_copy` takes whatever it is given.

    Args:
        section: A section.
        key: Where the other values come from, for the message, for example `rollout.grids.grid`.
        changes: Values by the name of their field.

    Raises:
        ValueError: One line that names the key and the field.
    """
    try:
        return type(section).model_validate({**dict(section), **changes})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = "".join(f"{part}: " for part in first["loc"])
        problem = first.get("ctx", {}).get("error", first["msg"])
        raise ValueError(f"{key}: {place}{problem}") from None


MAXIMUM_POINTS = 1000  # of one sweep: each is trained


def require_grid(axes: dict[str, tuple[Any, ...]]) -> None:
    """Refuse a grid of more points than a study can train; an empty axis keeps one value.

    Args:
        axes: Values of each axis, by key.

    Raises:
        ValueError: Names the axes and how many points they make.
    """
    lengths = [max(1, len(values)) for values in axes.values()]
    if math.prod(lengths) > MAXIMUM_POINTS:
        sizes = " x ".join(map(str, lengths))
        raise ValueError(
            f"{', '.join(axes)}: {sizes} are {math.prod(lengths)} points, at most {MAXIMUM_POINTS} "
            "can be trained; shorten a list"
        )


def require_power_below(base: int, exponent: int, limit: int, sizes: str) -> None:
    """Refuse base ** exponent of `limit` or more, without computing a number that large.

    Args:
        base: At least 2.
        exponent: At least 0.
        limit: First number that is refused.
        sizes: What the power is made of, for the message.

    Raises:
        ValueError: Says so.
    """
    # base ** exponent >= 2 ** exponent
    if exponent >= limit.bit_length() or base**exponent >= limit:
        raise ValueError(f"{sizes}: {base} ** {exponent} must stay below {limit}")
