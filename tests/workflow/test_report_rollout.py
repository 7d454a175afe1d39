"""The rollout section on the page: verdicts by the bars, methods, and studies without it."""

import pytest

from engram_audio.report import page
from engram_audio.report.sections import rollout
from tests.report_rollout_tables import BASE, with_rollout
from tests.report_tables import report_data, templates
from tests.workflow.test_report_page import Document


@pytest.fixture(scope="module")
def html() -> str:
    return page.render_page(with_rollout(report_data()), templates())


@pytest.fixture(scope="module")
def document(html) -> Document:
    return Document(html)


def method_of(sentence: str) -> str:
    """The method that a row judges; none of these reads a memory, and the judged rows say so."""
    return sentence.partition(":")[0].removesuffix(" (no memory)")


def test_methods_are_judged_by_the_bars_and_forecasters_stand_beside():
    group = rollout.build(with_rollout(report_data()))["groups"][0]
    outcomes = {method_of(row.sentence): row.outcome for row in group["rows"]}
    # one seed answers nothing, but its faults are named
    assert outcomes == {
        "one_step": "undecided", "wild": "undecided", "guarded": "undecided",
        "earlier_pure": "undecided", "belief": "shown", "direct": "shown",
    }  # fmt: skip
    judged = [row for row in group["rows"] if row.outcome == "undecided"]
    assert all("(no memory):" in row.sentence for row in judged)
    where = {method_of(row.sentence): row.where for row in group["rows"]}
    assert "diverges" in where["wild"] and "loses skill" in where["guarded"]


def test_a_mean_path_that_freezes_is_named():
    group = rollout.build(with_rollout(report_data()))["groups"][0]
    where = {method_of(row.sentence): row.where for row in group["rows"]}
    assert "its mean path freezes: SD ratio 0.02" in where["earlier_pure"]
    assert "freezes" not in where["wild"]
    assert "guard nearest" in where["guarded"]


def test_what_a_tuned_base_gains_over_the_base_stands_in_its_row():
    group = rollout.build(with_rollout(report_data()))["groups"][0]
    where = {method_of(row.sentence): row.where for row in group["rows"]}
    assert "over one_step: " in where["earlier_pure"]
    assert "over " not in where["one_step"]


def test_figures_state_their_method(document):
    found = {str(a.get("id")): text for a, text in document.all("figure")}
    for name in ("rollout-kept", "rollout-survival"):
        for word in ("Estimator:", "n:", "Resampled:", "Assumes:", "SVG", "CSV"):
            assert word in found[f"fig-{BASE}-{name}"]


def test_sweep_points_are_in_the_table_only(html):
    group = rollout.build(with_rollout(report_data()))["groups"][0]
    assert not any("grid_" in row.sentence for row in group["rows"])
    assert "grid_k4_t0_s0" in html


def test_ids_stay_unique(document):
    ids = [attributes["id"] for _, attributes in document.elements if attributes.get("id")]
    assert len(ids) == len(set(ids))


def test_a_study_without_free_runs_says_so():
    text = page.render_page(report_data(), templates())
    assert "This study lets nothing run free" in text
