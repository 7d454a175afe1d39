"""The sections of the page, in order. A stage adds its module here and a partial template."""

from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.sections import (
    calibration,
    codecs,
    corpus,
    factorizer,
    instrument,
    listening,
    matrix,
    memory,
    prediction,
    provenance,
    rollout,
    structure,
    verdict,
)

SECTIONS: tuple[SectionSpec, ...] = (
    verdict.SECTION,
    instrument.SECTION,
    calibration.SECTION,
    matrix.SECTION,
    structure.SECTION,
    prediction.SECTION,
    factorizer.SECTION,
    memory.SECTION,
    rollout.SECTION,
    codecs.SECTION,
    corpus.SECTION,
    listening.SECTION,
    provenance.SECTION,
)
