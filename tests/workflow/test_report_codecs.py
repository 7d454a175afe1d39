"""The section of codecs on the page: answers, tables, the frontier, and studies without it."""

import pandas as pd
import pytest

from engram_audio.report import page
from engram_audio.report.sections import codecs
from tests.report_codec_tables import published, with_codecs
from tests.report_tables import report_data, templates
from tests.report_verdicts import judged
from tests.workflow.test_report_page import Document


def compared(**changes: pd.DataFrame):
    """Report data whose deciding representation is among the codecs."""
    data = with_codecs(report_data(), **changes)
    decision = {**data.sections["decision"], "representation": "mimi"}
    entries = data.decision["representations"]
    document = {**data.decision, "representations": {**entries, "mimi": entries["mel_pca"]}}
    return judged(
        data._replace(
            sections={**data.sections, "decision": decision},
            documents={**data.documents, "decision": document},
        )
    )


@pytest.fixture(scope="module")
def html() -> str:
    return page.render_page(with_codecs(report_data()), templates())


@pytest.fixture(scope="module")
def document(html) -> Document:
    return Document(html)


def test_the_answers_are_those_of_the_made_up_rows():
    """Mimi's key explains .01 [0, .02], the gate asks for .02; mel's .05 [.04, .06]."""
    keys, heads = codecs.build(compared())["answers"]
    assert keys.outcome == "not met" and "mel gains" in keys.sentence
    assert "the codec's" in keys.where and "mimi_slow" not in keys.sentence
    assert heads.outcome == "met"


def test_a_deciding_representation_that_is_not_compared_leaves_it_open(document):
    assert any("has no row with an interval" in text for _, text in document.all("section"))


def test_rates_and_dimensions_stand_beside(document):
    text = next(text for a, text in document.all("section") if a.get("id") == "codecs")
    assert "Rows run at 12.5, 6.25 Hz" in text
    assert "STOI" in text and "not installed" in text


def test_the_frontier_states_its_method_and_carries_its_points(html, document):
    found = {str(a.get("id")): text for a, text in document.all("figure")}
    for word in ("Estimator:", "n:", "Resampled:", "Assumes:", "SVG", "CSV"):
        assert word in found["fig-codecs-frontier"]
    start = html.index('id="fig-codecs-frontier-data"')
    assert "mimi_slow" in html[start : html.index("</script>", start)]


def test_ids_stay_unique(document):
    ids = [attributes["id"] for _, attributes in document.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_a_comparison_without_ladders_has_no_frontier():
    _, frontier = published()
    built = codecs.build(compared(frontier=frontier.head(0)))
    assert built["figure"] is None and built["frontier"] is None


def test_points_without_a_distortion_are_not_drawn():
    _, frontier = published()
    built = codecs.build(compared(frontier=frontier.assign(log_mel_l1=float("nan"))))
    assert built["figure"] is None and built["frontier"] is not None


def test_a_study_that_compares_nothing_has_no_section():
    assert 'id="codecs"' not in page.render_page(report_data(), templates())
