"""The rollout section on the page: verdicts by the bars, methods, and studies without it."""

import pandas as pd
import pytest

from engram_audio.report import page
from engram_audio.report.sections import rollout
from tests.report_rollout_tables import BARS, BASE, with_rollout
from tests.report_tables import report_data, templates
from tests.workflow.test_report_page import Document


@pytest.fixture(scope="module")
def html() -> str:
    return page.render_page(with_rollout(report_data()), templates())


@pytest.fixture(scope="module")
def document(html) -> Document:
    return Document(html)


def test_methods_are_judged_by_the_bars_and_forecasters_stand_beside():
    group = rollout.build(with_rollout(report_data()))["groups"][0]
    outcomes = {row.sentence.split(":")[0]: row.outcome for row in group["rows"]}
    assert outcomes == {
        "one_step": "survives", "wild": "blows up", "guarded": "loses skill",
        "earlier_pure": "survives", "belief": "beside", "direct": "beside",
    }  # fmt: skip


def test_a_mean_path_that_freezes_is_named():
    group = rollout.build(with_rollout(report_data()))["groups"][0]
    where = {row.sentence.split(":")[0]: row.where for row in group["rows"]}
    assert "its mean path freezes: SD ratio 0.02" in where["earlier_pure"]
    assert "freezes" not in where["wild"]
    assert "guard nearest" in where["guarded"]


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, "survives"),
        ({"diverged_share": 0.01}, "blows up"),
        ({"frozen_excess": 0.01}, "freezes"),
        ({"frozen_share": 0.2, "frozen_excess": -0.01}, "survives"),
        ({"std_ratio": 0.9}, "bends the law"),
        ({"energy_distance": 0.05}, "bends the law"),
        ({"kept_position_low": 0.85}, "open"),
        ({"kept_position_low": 0.7, "kept_position_high": 0.8}, "loses skill"),
        ({"kept_skill_high": 0.9, "kept_skill_low": 0.8}, "loses skill"),
        ({"energy_distance_floor": float("nan")}, "open"),
        ({"energy_distance": float("nan"), "std_ratio": 0.5}, "bends the law"),
        ({"std_ratio": float("nan")}, "open"),
        ({"kept_position_low": float("nan"), "kept_position_high": float("nan")}, "open"),
        ({"frozen_excess": float("nan")}, "open"),
    ],
)
def test_the_first_fault_names_the_verdict(changes, outcome):
    row = {
        "diverged_share": 0.0, "frozen_share": 0.0, "frozen_excess": 0.0, "std_ratio": 1.0,
        "energy_distance": 0.01,
        "energy_distance_floor": 0.005, "kept_position": 0.95, "kept_position_low": 0.92,
        "kept_position_high": 0.98, "kept_skill": 0.99, "kept_skill_low": 0.97,
        "kept_skill_high": 1.0, **changes,
    }  # fmt: skip
    assert rollout.judge(row, row, BARS)[0] == outcome


def test_the_weakest_training_seed_is_the_verdict():
    data = with_rollout(report_data())
    table = data.tables["rollout"]
    second = table.assign(seed=1)
    second.loc[second["method"] == "one_step", "std_ratio"] = 0.5
    both = data._replace(tables={**data.tables, "rollout": pd.concat([table, second])})
    rows = {r.sentence.split(":")[0]: r for r in rollout.build(both)["groups"][0]["rows"]}
    assert rows["one_step"].outcome == "bends the law"
    assert "seed 1, the weakest of 2" in rows["one_step"].where
    assert rows["earlier_pure"].outcome == "survives"


def test_what_a_tuned_base_gains_over_the_base_stands_in_its_row():
    group = rollout.build(with_rollout(report_data()))["groups"][0]
    where = {row.sentence.split(":")[0]: row.where for row in group["rows"]}
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
