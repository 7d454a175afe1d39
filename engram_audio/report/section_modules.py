"""Which modules hold a section of the page. Rules ask too: their code decides the report."""

import pkgutil

from engram_audio.report import sections


def section_modules() -> tuple[str, ...]:
    """Return the names of the modules below `report/sections/`, without importing them."""
    found = pkgutil.iter_modules(sections.__path__, f"{sections.__name__}.")
    return tuple(sorted(module.name for module in found))
