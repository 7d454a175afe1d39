"""The generation section on the page: the word, its figure, its tables, and studies without it."""

import pytest

from engram_audio.report import page
from engram_audio.report.sections import generation
from tests.report_generation_tables import BASE, with_generation
from tests.report_tables import report_data, templates
from tests.workflow.test_report_page import Document


@pytest.fixture(scope="module")
def html() -> str:
    return page.render_page(with_generation(report_data()), templates())


def test_the_word_comes_first_with_what_the_gain_is_made_of():
    found = generation.build(with_generation(report_data()))
    first, *others = found["groups"][0]["rows"]
    assert first.outcome == "met" and first.sentence.startswith("HELPS. Content helps.")
    assert {row.outcome for row in others} == {"met", "shown"}
    names = [table.name for table in found["tables"]]
    own = ("gains", "parts", "cost", "ladder", "share", "wider", "probes", "replay", "health",
           "keys", "arms", "latency", "audio-gains", "audio")  # fmt: skip
    assert names == [f"generation-{name}" for name in own]


def test_the_page_shows_figure_tables_and_what_is_not_claimed(html: str):
    document = Document(html)
    figures = {str(a.get("id")): text for a, text in document.all("figure")}
    assert "seeds and speakers" in figures[f"fig-{BASE}-generation-gains-one_frame"]
    assert "Not claimed" in html and "mathdefault" not in html
    ids = [attributes["id"] for _, attributes in document.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_a_study_without_generators_says_so():
    assert "This study trains no generator" in page.render_page(report_data(), templates())
