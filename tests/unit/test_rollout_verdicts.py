"""Who survives free running: the first fault names the outcome, three seeds must agree."""

import math

import pandas as pd
import pytest

from engram_audio.rollout.tables import rollout_table
from engram_audio.rollout.verdicts import judge_method, verdict_rows
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED
from tests.report_rollout_tables import BASE, SETTINGS, runs
from tests.report_verdicts import BARS_SECTION


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return rollout_table(runs(), SETTINGS, 0.95)


def answers(table: pd.DataFrame):
    return {row.case: row for row in verdict_rows(table, BARS_SECTION, BASE)}


@pytest.mark.parametrize(
    ("changes", "outcome", "fault"),
    [
        ({}, MET, "every bar is met"),
        ({"diverged_share": 0.01}, NOT_MET, "blows up"),
        ({"frozen_excess": 0.01}, NOT_MET, "freezes"),
        ({"frozen_share": 0.2, "frozen_excess": -0.01}, MET, ""),
        ({"std_ratio": 0.9}, NOT_MET, "bends the law"),
        ({"std_ratio": 0.95}, MET, ""),  # the ends of the range are allowed
        ({"energy_distance": 0.05}, NOT_MET, "bends the law"),
        ({"kept_position_low": 0.9}, MET, ""),
        ({"kept_position_low": 0.85}, UNDECIDED, "kept of the attainable"),
        ({"kept_position_low": 0.7, "kept_position_high": 0.8}, NOT_MET, "loses skill"),
        ({"kept_skill_high": 0.9, "kept_skill_low": 0.8}, NOT_MET, "loses skill"),
        ({"energy_distance_floor": math.nan}, UNDECIDED, "no number"),
        ({"energy_distance": math.nan, "std_ratio": 0.5}, NOT_MET, "bends the law"),
        ({"std_ratio": math.nan}, UNDECIDED, "no number"),
        ({"kept_position_low": math.nan, "kept_position_high": math.nan}, UNDECIDED, "no interval"),
        ({"frozen_excess": math.nan}, UNDECIDED, "no number"),
        ({"diverged_share": 0.2, "std_ratio": 0.5}, NOT_MET, "blows up"),  # the first fault
    ],
)
def test_the_first_fault_names_the_outcome(changes, outcome, fault):
    row = {
        "diverged_share": 0.0, "frozen_share": 0.0, "frozen_excess": 0.0, "std_ratio": 1.0,
        "energy_distance": 0.01, "energy_distance_floor": 0.005, "kept_position": 0.95,
        "kept_position_low": 0.92, "kept_position_high": 0.98, "kept_skill": 0.99,
        "kept_skill_low": 0.97, "kept_skill_high": 1.0, **changes,
    }  # fmt: skip
    judged = judge_method(row, row, BARS_SECTION)
    assert judged.outcome == outcome and fault in judged.reason


def of_seeds(*tables: pd.DataFrame) -> pd.DataFrame:
    return pd.concat([table.assign(seed=n) for n, table in enumerate(tables)], ignore_index=True)


def test_planted_methods_come_out_as_planted(table):
    found = {case: row.outcome for case, row in answers(of_seeds(table, table, table)).items()}
    assert found == {
        "one_step": MET, "wild": NOT_MET, "guarded": NOT_MET, "earlier_pure": MET,
        "belief": "shown", "direct": "shown",
    }  # fmt: skip


def test_fewer_than_three_seeds_decide_nothing(table):
    for tables in ((table,), (table, table)):
        for case, row in answers(of_seeds(*tables)).items():
            if row.outcome != "shown":
                assert row.outcome == UNDECIDED, case
                assert row.reason.startswith(f"too few seeds: {len(tables)} of 3")


def test_no_single_seed_is_the_verdict(table):
    """One of three bends the law: neither its word nor that of the others stands."""
    other = table.copy()
    other.loc[other["method"] == "one_step", "std_ratio"] = 0.5
    found = answers(of_seeds(table, other, table))
    assert found["one_step"].outcome == UNDECIDED
    assert "seeds differ: 2 met, 1 not met" in found["one_step"].reason
    assert found["earlier_pure"].outcome == MET


def test_injected_runs_and_sweep_points_are_not_judged(table):
    """A sweep point or a run with injected frames that blows up changes no answer."""
    others = (table["inject_frames"] > 0) | (table["sweep"] == "grid")
    spoilt = table.assign(diverged_share=table["diverged_share"].mask(others, 1.0))
    assert others.any() and answers(spoilt) == answers(table)
