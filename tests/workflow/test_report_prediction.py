"""The prediction section on the page: complete, inert, beside studies without it, and narrow."""

import pytest

from engram_audio.report import page
from engram_audio.report.sections import prediction
from tests import chromium
from tests.report_prediction_tables import BASE, with_prediction
from tests.report_tables import BASES, report_data, templates
from tests.workflow.test_report_page import HOSTILE, Document


@pytest.fixture(scope="module")
def html() -> str:
    data = with_prediction(report_data())
    worst = data.tables["worst_frames"].replace("v09-0001", HOSTILE)
    return page.render_page(
        data._replace(tables={**data.tables, "worst_frames": worst}), templates()
    )


@pytest.fixture(scope="module")
def document(html) -> Document:
    return Document(html)


def figures(document: Document) -> dict[str, str]:
    found = {str(a.get("id")): text for a, text in document.all("figure")}
    wanted = ("dnll-parts", "context-gain", "cosine", "log-magnitude", "calibration")
    return {name: found[f"fig-{BASE}-{name}"] for name in wanted}


def test_all_figures_state_their_method(document):
    for name, text in figures(document).items():
        for word in ("Estimator:", "n:", "Resampled:", "Assumes:", "SVG", "CSV"):
            assert word in text, name


def test_names_of_users_are_text(html, document):
    assert HOSTILE not in html
    assert any(HOSTILE in text for _, text in document.all("td", "th"))


def test_representation_without_predictions_is_named(document):
    assert any(f"Without predictions: {BASES[1]}." in text for _, text in document.all("p"))


def test_links_to_players_arrive(document):
    ids = {attributes.get("id") for attributes, _ in document.all("div")}
    links = [a["href"] for a, text in document.all("a") if "v01-0003, " in text]
    assert links and all((link or "#")[1:] in ids for link in links)


def test_ids_stay_unique(document):
    ids = [attributes["id"] for _, attributes in document.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))


@pytest.fixture
def alone(monkeypatch):
    """Render this section without the others: the page is then quick."""
    monkeypatch.setattr(page, "SECTIONS", (prediction.SECTION,))


FURTHER = ("worst_frames", "prediction_calibration", "prediction_rollout")


@pytest.mark.parametrize("missing", FURTHER)
def test_each_further_table_may_be_absent(alone, missing):
    data = with_prediction(report_data())
    tables = {name: table for name, table in data.tables.items() if name != missing}
    assert "dnll-parts" in page.render_page(data._replace(tables=tables), templates())


def test_study_without_surrogates_or_summaries_still_renders(alone):
    data = with_prediction(report_data(), surrogate=False)
    html = page.render_page(data._replace(summaries={}), templates())
    assert f"fig-{BASE}-dnll-parts" in html and "white noise, D =" not in html


def test_same_tables_same_bytes(alone):
    data = with_prediction(report_data())
    assert page.render_page(data, templates()) == page.render_page(data, templates())


@pytest.mark.browser
@pytest.mark.skipif(chromium.executable() is None, reason="no Chromium is installed")
def test_section_is_quiet_and_never_scrolls_sideways(html, tmp_path):
    path = tmp_path / "page.html"
    path.write_text(html, encoding="utf-8")
    with chromium.chromium(tmp_path / "profile") as tab:
        for width in (320, 390, 1280):
            tab.open(path, width=width)
            assert tab.run("document.documentElement.scrollWidth") <= width
            assert tab.complaints() == []
