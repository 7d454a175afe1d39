"""Rows and verdicts of the memory stage hold the known means; their columns are described."""

from typing import Any

import pandas as pd
import pytest

from engram_audio.memory.columns import MEMORY_VERDICT
from engram_audio.memory.tables import REQUIRED, memory_table, verdict_table
from tests.report_memory_tables import (
    BASE,
    MEMORIES,
    SLICES,
    VERDICT,
    direct_predictors,
    published,
    run_of,
)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return published()


def rows_of(table: pd.DataFrame, memory: str) -> pd.DataFrame:
    chosen = (table["memory"] == memory) & (table["part"] == "eval") & (table["slice"] == "all")
    return table.loc[chosen].set_index("control")


@pytest.mark.parametrize("memory", MEMORIES)
def test_gains_are_paired_over_each_control(table: pd.DataFrame, memory: str):
    """All models share the speakers' noise: differences are exact."""
    rows, means = rows_of(table, memory), MEMORIES[memory]
    for control in ("knock_out", "matched_parameters", "shuffled_keys", "random_values"):
        gain = rows.loc[control, "gain_nats"]
        assert gain == pytest.approx(means[control] - means["memory"])
        width = rows.loc[control, "gain_nats_high"] - rows.loc[control, "gain_nats_low"]
        assert width == pytest.approx(0, abs=1e-9)
        own = rows.loc[control, "control_gain_nats"]
        assert own == pytest.approx(means["knock_out"] - means[control])
    assert rows.loc["best_null", "control_model"] == "ridge_full"
    assert rows.loc["best_null", "gain_nats"] == pytest.approx(89.0 - means["memory"])


@pytest.mark.parametrize(("memory", "own", "over"), [("robust", 5.0, -2.25), ("engram", 1.5, 1.0)])
def test_k_nn_its_base_and_the_memory_are_compared_on_its_own_frames(
    table: pd.DataFrame, memory: str, own: float, over: float
):
    rows = rows_of(table, memory)
    row = rows.loc["knn"]
    assert row["control_gain_nats"] == pytest.approx(own)
    assert row["gain_nats"] == pytest.approx(over)
    assert row["memory_nll_nats"] == rows.loc["knock_out", "memory_nll_nats"]  # on all frames


def test_a_joint_memory_stands_beside_its_head(table: pd.DataFrame):
    row = rows_of(table, "engram").loc["base"]
    assert row["control_model"] == "gaussian_mixture"
    assert row["gain_nats"] == pytest.approx(0.5)


def verdict_of(table: pd.DataFrame) -> dict[Any, Any]:
    found = verdict_table(table, VERDICT)
    assert len(found) == 1 and list(found.columns) == MEMORY_VERDICT.names()
    return found.to_dict("records")[0]


def test_the_memory_that_val_prefers_decides(table: pd.DataFrame):
    """The best on val beats every required control by more than the minimum: PROCEED."""
    row = verdict_of(table)
    assert (row["memory"], row["verdict"]) == ("robust", "PROCEED")
    assert row["deciding_control"] == "matched_parameters"
    assert row["gain_nats"] == pytest.approx(1.0)
    assert row["num_memories_looked_at"] == len(MEMORIES)


@pytest.mark.parametrize("control", [name for name in REQUIRED if name != "best_null"])
def test_one_control_that_is_as_good_stops(control: str):
    row = verdict_of(published([run_of("robust", {control: 86.01})]))
    assert (row["verdict"], row["deciding_control"]) == ("STOP", control)


def test_a_memory_that_val_switched_off_stops():
    row = verdict_of(published([run_of("robust", {"memory": 89.0}, is_off=True)]))
    assert (row["verdict"], row["reason"]) == ("STOP", "val chose no memory")


def test_a_missing_control_leaves_it_undecided():
    run = run_of("robust")
    scores = run.scores.loc[run.scores["model"] != "matched_flops"]
    row = verdict_of(published([run._replace(scores=scores)]))
    assert row["verdict"] == "UNDECIDED" and "matched_flops" in row["reason"]


def test_a_control_without_a_number_is_not_beaten():
    row = verdict_of(published([run_of("robust", {"matched_parameters": float("nan")})]))
    assert row["verdict"] == "UNDECIDED" and "matched_parameters" in row["reason"]


def test_a_capped_control_is_not_beaten():
    row = verdict_of(published([run_of("robust", capped="matched_parameters")]))
    assert row["verdict"] == "UNDECIDED" and "capped" in row["reason"]


def test_a_joint_memory_must_beat_its_own_head():
    """Better than everything but the head trained without it (88.0)."""
    better = {"memory": 88.3, "matched_parameters": 89.5, "matched_flops": 89.4,
              "shuffled_keys": 89.0, "random_values": 90.0, "knock_out": 91.0}  # fmt: skip
    row = verdict_of(published([run_of("engram", better)]))
    assert (row["verdict"], row["deciding_control"]) == ("STOP", "base")


def test_the_weakest_seed_stands_for_a_control(table: pd.DataFrame):
    runs = [run_of("robust"), run_of("robust", {"matched_flops": 86.05})._replace(seed=1)]
    found = memory_table(
        runs, {(BASE, seed): direct_predictors() for seed in (0, 1)}, "position", SLICES, 0.95
    )
    row = verdict_of(found)
    assert (row["deciding_control"], row["seed"]) == ("matched_flops", 1)
    assert row["gain_nats"] == pytest.approx(0.05)
