"""The sections of the page, in order: each module of `report/sections/` declares one."""

import importlib

from engram_audio.report.section_modules import section_modules
from engram_audio.report.section_spec import SectionSpec

SECTIONS: tuple[SectionSpec, ...] = tuple(
    sorted(
        (importlib.import_module(name).SECTION for name in section_modules()),
        key=lambda section: section.place,
    )
)
