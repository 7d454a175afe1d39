"""Renders the page: one file, everything inside it, nothing fetched."""

import base64
import hashlib
from collections.abc import Mapping

import jinja2
from markupsafe import Markup

from engram_audio.report.chain import opening_of
from engram_audio.report.data import ReportData
from engram_audio.report.glossary import linked, linked_html, prose
from engram_audio.report.published_tables import TABLES
from engram_audio.report.registry import SECTIONS
from engram_audio.report.section_spec import SectionSpec
from engram_audio.report.sections import listening
from engram_audio.report.sections.verdict import verdict_word

PAGE = "page.html.j2"
STYLE = "page.css"
SCRIPT = "page.js"
WHOLE = "results/report.html"  # the target of the page of the whole study


def render_page(data: ReportData, templates: Mapping[str, str]) -> str:
    """Return the HTML.

    Args:
        data: What to show. All of it is untrusted text.
        templates: Template sources by name relative to the template folder.
    """
    environment = jinja2.Environment(
        loader=jinja2.DictLoader(dict(templates)),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"prose": prose, "linked": linked, "linked_html": linked_html}
    style, script = templates[STYLE], templates[SCRIPT]
    shown = [
        section
        for section in SECTIONS
        if not is_run(section, data) or all(name in data.tables for name in section.needs)
    ]
    environment.globals["on_page"] = {section.name for section in shown}
    sections = [
        {
            "name": section.name,
            "title": section.title,
            "lead": section.lead,
            "opening": opening_of(data, section.name),
            "body": _body(section, data, environment) if is_run(section, data) else None,
            "target": section.name if section.name in TABLES else WHOLE,
        }
        for section in shown
    ]
    return environment.get_template(PAGE).render(
        title=data.settings.title,
        question=data.question,
        whole=WHOLE,
        verdict=verdict_word(data),
        sections=sections,
        style=Markup(style),
        style_hash=source_hash(style),
        script=Markup(script),
        script_hash=source_hash(script),
    )


def is_run(section: SectionSpec, data: ReportData) -> bool:
    """Whether what a section shows was run for this page.

    The page of the whole study leaves nothing out. A stage's own table has the name of its section.
    """
    if not data.question:
        return True
    if section.name in TABLES:
        return section.name in data.tables
    return section.name != listening.SECTION.name or bool(data.players)


def _body(section: SectionSpec, data: ReportData, environment: jinja2.Environment) -> Markup:
    template = environment.get_template(f"sections/{section.name}.html.j2")
    return Markup(template.render(section.build(data)))


def source_hash(text: str) -> str:
    """Return the content-security-policy hash of an inline script or style."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
