"""Codecs of other packages, found by entry point and not imported.

A package names its adapter in the group `engram_audio.codecs`; docs/add-a-codec.md shows one. The
configuration and the rules ask here.
"""

import importlib.metadata

from engram_audio.errors import InputError

GROUP = "engram_audio.codecs"


def plugin_names() -> list[str]:
    """Return the names of the codecs that installed packages offer."""
    return sorted({entry.name for entry in importlib.metadata.entry_points(group=GROUP)})


def plugin_entry(name: str) -> importlib.metadata.EntryPoint:
    """Return a plugin's entry point.

    Raises:
        InputError: No installed package offers it, or more than one does.
    """
    found = {
        entry.value: entry for entry in importlib.metadata.entry_points(group=GROUP, name=name)
    }
    if not found:
        raise InputError(
            f"codecs (kind plugin): no installed package offers {name!r} in the entry-point group "
            f"{GROUP}; offered: {', '.join(plugin_names()) or '(none)'}"
        )
    if len(found) > 1:
        raise InputError(
            f"codecs (kind plugin): {name!r} is offered more than once ({', '.join(sorted(found))}"
            "); uninstall one"
        )
    return next(iter(found.values()))
