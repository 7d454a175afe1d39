"""The factorizer section on the page: verdicts of variants, methods, and studies without it."""

import pytest

from engram_audio.report import page
from engram_audio.report.sections import factorizer
from tests.report_factorizer_tables import BASE, with_factorizer
from tests.report_tables import report_data, templates
from tests.workflow.test_report_page import Document


@pytest.fixture(scope="module")
def html() -> str:
    return page.render_page(with_factorizer(report_data()), templates())


@pytest.fixture(scope="module")
def document(html) -> Document:
    return Document(html)


def test_variants_are_judged_and_sweep_points_are_not():
    group = factorizer.build(with_factorizer(report_data()))["groups"][0]
    outcomes = [(row.sentence.split(":")[0], row.outcome) for row in group["rows"]]
    assert outcomes == [
        ("charged", "met"), ("charged", "shown"),
        ("first_experiment", "not met"), ("first_experiment", "shown"),
    ]  # fmt: skip
    assert "redundant" in group["rows"][2].where


def test_figures_state_their_method(document):
    found = {str(a.get("id")): text for a, text in document.all("figure")}
    for name in ("split-usage", "rate-error"):
        for word in ("Estimator:", "n:", "Resampled:", "Assumes:", "SVG", "CSV"):
            assert word in found[f"fig-{BASE}-{name}"]


def test_a_leaking_variant_is_not_on_the_frontier(html):
    start = html.index('id="fig-mel_pca-rate-error-data"')
    assert "first_experiment" not in html[start : html.index("</script>", start)]


def test_ids_stay_unique(document):
    ids = [attributes["id"] for _, attributes in document.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_a_study_without_factorisers_says_so():
    text = page.render_page(report_data(), templates())
    assert "This study factorises nothing" in text
