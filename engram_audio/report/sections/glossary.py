"""What the words mean."""

from typing import Any

from engram_audio.report.data import ReportData
from engram_audio.report.glossary import TERMS
from engram_audio.report.section_spec import SectionSpec


def build(data: ReportData) -> dict[str, Any]:
    """Return the terms."""
    return {"terms": TERMS}


SECTION = SectionSpec(
    name="glossary",
    place=127,
    title="Glossary",
    lead="Underlined words on this page lead here.",
    needs=(),
    build=build,
)
