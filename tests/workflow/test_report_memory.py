"""The memory section on the page: the verdict, its control, the figure, and studies without it."""

import pytest

from engram_audio.report import page
from engram_audio.report.sections import memory
from tests.report_memory_tables import BASE, with_memory
from tests.report_tables import report_data, templates
from tests.workflow.test_report_page import Document


@pytest.fixture(scope="module")
def html() -> str:
    return page.render_page(with_memory(report_data()), templates())


@pytest.fixture(scope="module")
def document(html: str) -> Document:
    return Document(html)


def test_the_verdict_names_memory_control_and_margin():
    group = memory.build(with_memory(report_data()))["groups"][0]
    (row,) = group["rows"]
    assert row.outcome == "undecided"  # one seed of three
    assert "robust on linear" in row.sentence and "as many parameters" in row.sentence
    assert "0.02" in row.asked


def test_the_figure_states_its_method(document: Document):
    found = {str(a.get("id")): text for a, text in document.all("figure")}
    for word in ("Estimator:", "n:", "Resampled:", "Assumes:", "SVG", "CSV"):
        assert word in found[f"fig-{BASE}-memory-gains-1"]


def test_no_label_is_markup(html: str):
    assert "mathdefault" not in html


def test_the_table_shows_every_control(html: str):
    for title in ("the keys of other frames", "entries in random places", "k-NN over a datastore"):
        assert title in html


def test_ids_stay_unique(document: Document):
    ids = [attributes["id"] for _, attributes in document.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_a_study_without_memories_says_so():
    assert "This study tries no memory" in page.render_page(report_data(), templates())
