"""What a section of the page is; `registry.py` finds them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from engram_audio.report.data import ReportData


class SectionSpec(NamedTuple):
    """One section: a Python module that gathers, a partial template that shows.

    Attributes:
        name: Permalink and name of the partial, `sections/<name>.html.j2`.
        place: Sections stand in the order of these numbers.
        title: Heading.
        lead: One sentence for a newcomer: what this shows and how to read it.
        needs: Names of tables without which the section is left out.
        build: Gathers the template's variables.
    """

    name: str
    place: int
    title: str
    lead: str
    needs: tuple[str, ...]
    build: Callable[[ReportData], dict[str, Any]]
