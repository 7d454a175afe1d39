"""Base class of every configuration section."""

import json
import math
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StringConstraints,
    TypeAdapter,
    ValidationError,
)

from engram_audio.errors import InputError


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


def distinct(values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Refuse a list that names something twice.

    Raises:
        ValueError: Says what.
    """
    seen = set()
    for value in values:
        if value in seen:
            raise ValueError(f"{value!r} stands there twice; list each once")
        seen.add(value)
    return values


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


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=60)]
Counts = Annotated[tuple[Annotated[int, Field(ge=1)], ...], AfterValidator(distinct)]
Seeds = Annotated[tuple[Annotated[int, Field(ge=0)], ...], AfterValidator(distinct)]
NgramOrder = Annotated[int, Field(ge=1, le=63)]  # two codes already need 63 bits
Names = Annotated[tuple[str, ...], AfterValidator(distinct)]
