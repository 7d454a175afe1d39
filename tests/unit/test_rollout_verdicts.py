"""Who survives free running: the first fault names the outcome, three seeds must agree."""

import math

import pandas as pd
import pytest

from engram_audio.rollout.measures import STATISTICS, excess_name
from engram_audio.rollout.tables import rollout_table
from engram_audio.rollout.verdicts import judge_method, verdict_rows
from engram_audio.verdicts.judge import MET, NOT_MET, UNDECIDED
from tests.report_rollout_tables import BASE, SETTINGS, runs
from tests.report_verdicts import BARS_SECTION


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return rollout_table(runs(), SETTINGS, 0.95)


def around(name: str, value: float, width: float = 0.01) -> dict[str, float]:
    """An excess and its interval."""
    name = excess_name(name)
    return {name: value, f"{name}_low": value - width, f"{name}_high": value + width}


def little(best: float, lost: float, part: str = "position") -> dict[str, float]:
    """What is attainable and what of it is lost, each with a narrow interval."""
    values = {f"attainable_{part}": best, f"lost_{part}": lost}
    ends = {"": 0.0, "_low": -0.001, "_high": 0.001}
    return {f"{name}{end}": value + add for name, value in values.items()
            for end, add in ends.items()}  # fmt: skip


NO_SHARE = {
    "kept_position": math.nan,
    "kept_position_low": math.nan,
    "kept_position_high": math.nan,
}


def answers(table: pd.DataFrame):
    return {row.case: row for row in verdict_rows(table, BARS_SECTION, BASE)}


@pytest.mark.parametrize(
    ("changes", "outcome", "fault"),
    [
        ({}, MET, "every bar is met"),
        ({"num_not_finite": 1}, NOT_MET, "has no score"),
        (around("diverged_late", 0.05), NOT_MET, "diverges"),
        (around("diverged_late", 0.015), UNDECIDED, "late frames gone"),
        (around("frozen_late", 0.05), NOT_MET, "freezes"),
        (around("frozen_late", -0.05), MET, ""),  # stands still less often than the data
        (around("off_support_share", 0.9), NOT_MET, "leaves the data"),
        (around("spread_ratio", -0.1), NOT_MET, "has the wrong distribution"),
        (around("spread_ratio", 0.1), NOT_MET, "has the wrong distribution"),
        (around("spread_ratio", 0.04), MET, ""),  # the ends of the range are allowed
        (around("spread_ratio", 0.045), UNDECIDED, "spread ratio"),
        (around("step_ratio", 0.1), NOT_MET, "has the wrong distribution"),
        (around("autocorrelation_error", 0.1), NOT_MET, "has the wrong distribution"),
        (around("spectrum_error", 0.5), NOT_MET, "has the wrong distribution"),
        (around("energy_distance", 0.05), NOT_MET, "has the wrong distribution"),
        # an SD is a fault where it is sure: that of heavy tails is hardly known
        (around("std_ratio", 0.1), NOT_MET, "SD ratio"),
        (around("std_ratio", 0.045), MET, ""),
        ({"std_ratio_excess_low": math.nan}, MET, ""),
        ({"below_range": 0.1, "below_range_low": 0.08, "below_range_high": 0.12}, NOT_MET, "below"),
        ({"above_range": 0.01, "above_range_low": 0.0, "above_range_high": 0.02}, NOT_MET, "above"),
        ({"kept_position_low": 0.9}, MET, ""),
        ({"kept_position_low": 0.85}, UNDECIDED, "kept of the attainable"),
        ({"kept_position_low": 0.7, "kept_position_high": 0.8}, NOT_MET, "loses skill"),
        ({"kept_skill_high": 0.9, "kept_skill_low": 0.8}, NOT_MET, "loses skill"),
        # a share of nothing has no number: what is lost counts
        (NO_SHARE | little(0.0, 0.01), MET, ""),
        (NO_SHARE | little(0.0, 0.5), NOT_MET, "loses skill: lost of the attainable 0.5"),
        (NO_SHARE | little(0.0, math.nan), UNDECIDED, "no number"),
        ({"kept_position_low": 0.1} | little(-0.01, 0.005), MET, ""),  # too little to count
        ({"kept_position_low": 0.1} | little(-0.03, 0.005), UNDECIDED, "kept of the attainable"),
        ({"kept_skill_low": 0.1} | little(0.003, 0.002, "skill"), MET, ""),
        (around("energy_distance", math.nan), UNDECIDED, "no number"),
        (around("energy_distance", math.nan) | around("std_ratio", 0.5), NOT_MET, "SD ratio"),
        (around("spread_ratio", math.nan), UNDECIDED, "no number"),
        ({"kept_position_low": math.nan, "kept_position_high": math.nan}, UNDECIDED, "no interval"),
        (around("frozen_late", math.nan), UNDECIDED, "no number"),
        ({"num_not_finite": math.nan}, UNDECIDED, "no number"),
        # the first fault
        (around("diverged_late", 0.2) | around("spread_ratio", 0.5), NOT_MET, "diverges"),
    ],
)
def test_the_first_fault_names_the_outcome(changes, outcome, fault):
    row = {
        **{key: value for name in STATISTICS for key, value in around(name, 0.0, 0.002).items()},
        "num_not_finite": 0, "below_range": 0.05, "below_range_low": 0.04, "below_range_high": 0.06,
        "above_range": 0.05, "above_range_low": 0.04, "above_range_high": 0.06,
        "kept_position": 0.95, "kept_position_low": 0.92, "kept_position_high": 0.98,
        "kept_skill": 0.99, "kept_skill_low": 0.97, "kept_skill_high": 1.0,
        **little(-1.0, 0.1), **little(0.5, 0.1, "skill"), **changes,
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


def test_what_is_lost_is_behind_the_best_forecast(table):
    """More nats than the best, less skill: both above 0 for a method that knows less."""
    rows = table.dropna(subset=["attainable_position", "attainable_skill"])
    lost = rows["dnll_position"] - rows["attainable_position"]
    assert len(rows) and (rows["lost_position"] - lost).abs().max() < 1e-9
    behind = rows["attainable_skill"] - rows["energy_skill"]
    assert (rows["lost_skill"] - behind).abs().max() < 1e-9
    assert lost.max() > 0.1 and behind.max() > 0.1


def test_a_method_says_whether_it_reads_a_memory(table):
    """By what it is: the gate of a horizon at which no path lives is empty."""
    dead = table.assign(gate=math.nan)
    plain = [table.assign(gate=0.5), dead]
    reading = [
        dead.assign(base="memory:linear:robust"),
        dead.assign(base="memory:linear:robust:shuffled_keys"),
        dead.assign(kind=dead["kind"].replace("one_step", "refit"), base="").query(
            "kind == 'refit'"
        ),
    ]
    for tables, words in ((plain, "(no memory): keeps"), (reading, "(reads a memory): keeps")):
        for one in tables:
            rows = sampled(one)
            assert rows and all(words in row.sentence for row in rows)


def sampled(table: pd.DataFrame):
    return [row for row in verdict_rows(table, BARS_SECTION, BASE) if "keeps" in row.sentence]


def test_fewer_than_three_seeds_decide_nothing(table):
    for tables in ((table,), (table, table)):
        for case, row in answers(of_seeds(*tables)).items():
            if row.outcome != "shown":
                assert row.outcome == UNDECIDED, case
                assert row.reason.startswith(f"too few seeds: {len(tables)} of 3")


def test_no_single_seed_is_the_verdict(table):
    """One of three has the wrong distribution: neither its word nor that of the others stands."""
    other = table.copy()
    for end in ("", "_low", "_high"):
        other.loc[other["method"] == "one_step", f"spread_ratio_excess{end}"] = -0.5
    found = answers(of_seeds(table, other, table))
    assert found["one_step"].outcome == UNDECIDED
    assert "seeds differ: 2 met, 1 not met" in found["one_step"].reason
    assert found["earlier_pure"].outcome == MET


def test_injected_runs_and_sweep_points_are_not_judged(table):
    """A sweep point or a run with injected frames that diverges changes no answer."""
    others = (table["inject_frames"] > 0) | (table["sweep"] == "grid")
    names = [f"diverged_late_excess{end}" for end in ("", "_low", "_high")]
    spoilt = table.assign(**{name: table[name].mask(others, 1.0) for name in names})
    assert others.any() and answers(spoilt) == answers(table)
