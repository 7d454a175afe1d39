"""What was done, in words, from the configuration and the splits."""

from typing import Any

from engram_audio.report.data import ReportData
from engram_audio.report.methods import methods_sentences
from engram_audio.report.section_spec import SectionSpec


def build(data: ReportData) -> dict[str, Any]:
    """Return the paragraph."""
    return {"sentences": methods_sentences(data.sections, data.table("corpus").to_dict("records"))}


SECTION = SectionSpec(
    name="methods",
    place=125,
    title="Methods",
    lead="Made from the configuration and the splits, for a paper. `make bundle` holds it too.",
    needs=(),
    build=build,
)
