"""One clear line for each mistake in a configuration, from pydantic's errors."""

import typing
from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from engram_audio.choices import choices
from engram_audio.errors import printable
from engram_audio.section import Section

MAXIMUM_LINES = 50


def explain_all(errors: Sequence[Any], root: type[Section]) -> list[str]:
    """Return one line for each error; of more than a page the first ones, and how many remain."""
    real = _without_echoes(errors)
    shown = real[:MAXIMUM_LINES]
    lines = list(
        dict.fromkeys(printable(explain(item, root)) for item in shown)
    )  # a list lacks both ends
    rest = len(real) - len(shown)
    return [*lines, f"configuration: {rest} more mistakes; mend these first"] if rest else lines


def explain(item: Any, root: type[Section]) -> str:
    """Return one line for an error of a root model: the key, what is wrong, what is allowed."""
    location = item["loc"]
    names = [str(part) for place, part in enumerate(location) if not _is_tag(location, place, root)]
    key = ".".join(names) or "configuration"
    kind, value, context = item["type"], item["input"], item.get("ctx", {})
    if kind == "extra_forbidden":
        owner = model_at(root, location[:-1])
        fields = list(owner.model_fields) if owner else []
        return f"{key}: unknown key; allowed: {choices(location[-1], fields)}"
    if kind == "missing" and isinstance(location[-1], int):
        return (
            f"{'.'.join(names[:-1])}: the list is too short; write two values, of a range the "
            "lower end first"
        )
    if kind == "too_short" and not value:
        return f"{key}: nothing stands there; write at least {context['min_length']}"
    if kind in ("missing", "union_tag_not_found"):
        suffix = ".kind" if kind == "union_tag_not_found" else ""
        return f"{key}{suffix}: this key is required and missing"
    if kind == "value_error":
        message = str(context.get("error", item["msg"]))
        return f"{key}: {message}" if names else message
    if kind == "literal_error":
        return f"{key}: {value!r} is not one of {choices(value, _quoted(context['expected']))}"
    if kind == "union_tag_invalid":
        tag = value.get("kind")
        return (
            f"{key}.kind: {tag!r} is not one of {choices(tag, _quoted(context['expected_tags']))}"
        )
    problem = item["msg"].replace("Input should be a valid", "should be a(n)")
    problem = problem.replace("Input should", "should").replace("Tuple should", "the list should")
    found = "" if isinstance(value, dict | list) else f", found {value!r}"
    return f"{key}: {problem}{found}{_hint(kind, value)}"


def _hint(kind: str, value: object) -> str:
    """Say what YAML has made of the text that stands there, where that is likely the mistake."""
    match kind, value:
        case "int_type" | "float_type", str():
            return " (a number in quotes or without a decimal point before `e` is text in YAML)"
        case "bool_type", str():
            return " (write true or false, without quotes)"
        case "string_type", bool():
            return " (yes, no, on and off are booleans in YAML; put text in quotes)"
        case "string_type", int() | float():
            return (
                " (put text in quotes; in `--config` quotes inside of a map are lost: use a file)"
            )
    return ""


def _without_echoes(errors: Sequence[Any]) -> list[Any]:
    """Leave out what only follows from an error inside (a list is short of its bad element)."""
    owners = {item["loc"][:depth] for item in errors for depth in range(len(item["loc"]))}
    return [item for item in errors if item["loc"] not in owners]


def _quoted(expected: str) -> list[str]:
    return [part.strip().strip("'") for part in expected.replace(" or ", ",").split(",")]


def _is_tag(location: tuple[Any, ...], place: int, root: type[Section]) -> bool:
    """Whether a part of an error location names a member of a tagged union, not a key."""
    owner = model_at(root, location[: place + 1])
    field = owner.model_fields.get("kind") if owner else None
    return (
        field is not None
        and location[place] in typing.get_args(field.annotation)
        and model_at(root, location[:place]) is None
        and typing.get_origin(_annotation_at(root, location[:place])) is not dict
    )


def model_at(model: type[Section], location: Iterable[Any]) -> type[Section] | None:
    """Follow a pydantic error location to the model it ends in, or None."""
    return _as_section(_annotation_at(model, location))


def _as_section(annotation: Any) -> type[Section] | None:
    is_class = isinstance(annotation, type) and issubclass(annotation, Section)
    return annotation if is_class else None


def _annotation_at(model: type[Section], location: Iterable[Any]) -> Any:
    current: Any = model
    for part in location:
        current = _descend(current, part)
        if current is None:
            return None
    return current


def _is_tagged(annotation: Any, part: object) -> bool:
    section = _as_section(annotation)
    kind = section.model_fields.get("kind") if section else None
    return kind is not None and part in typing.get_args(kind.annotation)


def _descend(annotation: Any, part: object) -> Any:
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        return _descend(typing.get_args(annotation)[0], part)
    if section := _as_section(annotation):
        field = section.model_fields.get(str(part))
        if field is not None:
            return field.annotation
        return annotation if _is_tagged(annotation, part) else None
    arguments = typing.get_args(annotation)
    if origin is dict:
        return arguments[1]
    if origin is tuple:
        return arguments[0]
    for option in arguments:  # a union: the part is the tag, even where a field has its name
        if _is_tagged(option, part):
            return option
    for option in arguments:
        found = _descend(option, part)
        if found is not None:
            return found
    return None
