"""What a merged configuration still has to be told: entries to remove, and paths given at its top.

Snakemake merges overlays over the base. Maps are merged, lists and values are replaced. What is
left to do here needs the models, because only they know which maps are libraries.
"""

import typing
from collections.abc import Iterator, Mapping
from typing import Any

from engram_audio.choices import choices
from engram_audio.errors import InputError
from engram_audio.maps import as_map, map_at
from engram_audio.section import Section

REMOVE = "remove"  # of a library: names of entries that the base defines and this study does not
Place = tuple[str, ...]


def without_removed(raw: Mapping[str, Any], model: type[Section]) -> dict[str, Any]:
    """Return the configuration without the entries that `remove` names in its libraries.

    Raises:
        InputError: `remove` is no list of names, or names what is not there.
    """
    merged = dict(raw)
    for place in libraries(model):
        key = ".".join(place)
        library = map_at(merged, key)
        if REMOVE in library:
            merged = _replaced(merged, place, _without(key, library))
    return merged


def _replaced(owner: Mapping[str, Any], place: Place, value: Any) -> dict[str, Any]:
    """Return a copy of nested maps with another value at a place that is there."""
    first, *rest = place
    return {**owner, first: _replaced(owner[first], tuple(rest), value) if rest else value}


def libraries(model: type[Section], place: Place = ()) -> Iterator[Place]:
    """Yield the places of all maps of definitions by name, in a model and in the sections in it."""
    for name, field in model.model_fields.items():
        kind = field.annotation
        if typing.get_origin(kind) is dict:
            yield (*place, name)
        elif isinstance(kind, type) and issubclass(kind, Section):
            yield from libraries(kind, (*place, name))


def _without(key: str, library: Mapping[str, Any]) -> dict[str, Any]:
    names, kept = library[REMOVE], {n: row for n, row in library.items() if n != REMOVE}
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise InputError(f"{key}.{REMOVE}: should be a list of names, found {names!r}")
    for name in names:
        if name not in kept:
            raise InputError(f"{key}.{REMOVE}: {name!r} is not one of {choices(name, kept)}")
        del kept[name]
    return kept


def with_paths(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration whose arrays without a folder or table have those of its top."""
    merged = dict(raw)
    rows = map_at(raw, "representations.library")
    given = {name: raw[name] for name in ("path", "table") if raw.get(name) is not None}
    if rows and given:
        is_arrays = {name for name, row in rows.items() if as_map(row).get("kind") == "arrays"}
        filled = {n: {**given, **row} if n in is_arrays else row for n, row in rows.items()}
        merged["representations"] = {**raw["representations"], "library": filled}
    return merged
