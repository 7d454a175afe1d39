"""Renders the page: one file, everything inside it, nothing fetched."""

import base64
import hashlib
from collections.abc import Mapping

import jinja2
from markupsafe import Markup

from engram_audio.report.data import ReportData
from engram_audio.report.registry import SECTIONS
from engram_audio.report.sections.verdict import verdict_word

PAGE = "page.html.j2"
STYLE = "page.css"
SCRIPT = "page.js"


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
    style, script = templates[STYLE], templates[SCRIPT]
    sections = [
        {
            "name": section.name,
            "title": section.title,
            "lead": section.lead,
            "body": Markup(
                environment.get_template(f"sections/{section.name}.html.j2").render(
                    section.build(data)
                )
            ),
        }
        for section in SECTIONS
        if all(name in data.tables for name in section.needs)
    ]
    return environment.get_template(PAGE).render(
        title=data.settings.title,
        verdict=verdict_word(data),
        sections=sections,
        style=Markup(style),
        style_hash=source_hash(style),
        script=Markup(script),
        script_hash=source_hash(script),
    )


def source_hash(text: str) -> str:
    """Return the content-security-policy hash of an inline script or style."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"
