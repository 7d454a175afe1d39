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
    speaker_sums,
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


def test_a_smaller_control_is_not_beaten():
    row = verdict_of(published([run_of("robust", misfit={"matched_parameters": "smaller"})]))
    assert row["verdict"] == "UNDECIDED" and "smaller than the memory" in row["reason"]


def test_a_larger_control_may_be_beaten_and_stops_nothing():
    larger = {"matched_parameters": "larger"}
    assert verdict_of(published([run_of("robust", misfit=larger)]))["verdict"] == "PROCEED"
    lost = published([run_of("robust", {"matched_parameters": 85.0}, misfit=larger)])
    row = verdict_of(lost)
    assert row["verdict"] == "UNDECIDED" and "larger than the memory" in row["reason"]


def test_a_joint_memory_must_beat_its_own_head():
    """Better than everything but the head trained without it (88.0)."""
    better = {"memory": 88.3, "matched_parameters": 89.5, "matched_flops": 89.4,
              "shuffled_keys": 89.0, "random_values": 90.0, "knock_out": 91.0}  # fmt: skip
    row = verdict_of(published([run_of("engram", better)]))
    assert (row["verdict"], row["deciding_control"]) == ("STOP", "base")


def of_seeds(levels: list[dict[str, float]], **arguments: Any) -> pd.DataFrame:
    """`memory.csv` of one memory with a training seed for each set of means."""
    runs = [
        run_of("robust", changes, **arguments)._replace(seed=n) for n, changes in enumerate(levels)
    ]
    directs = {(BASE, n): direct_predictors() for n in range(len(levels))}
    return memory_table(runs, directs, "position", SLICES, 0.95)


def test_no_single_seed_stands_for_a_control():
    """Of five seeds one reads a net of equal work as good: the mean of 1.61 nats decides."""
    row = verdict_of(of_seeds([{"matched_flops": 86.05}, *[{} for _ in range(4)]]))
    assert row["verdict"] == "PROCEED" and row["num_seeds"] == 5
    flops = rows_of(of_seeds([{"matched_flops": 86.05}, {}, {}]), "robust").loc["matched_flops"]
    assert flops["gain_seeds_nats"].iloc[0] == pytest.approx((0.05 + 2 + 2) / 3)


def test_the_interval_of_three_seeds_counts_them():
    """Speakers agree exactly, seeds do not: mean 1, SD 1 over three seeds, t(2) = 4.303."""
    levels = [{"matched_parameters": 86.0 + gain} for gain in (0.0, 1.0, 2.0)]
    row = rows_of(of_seeds(levels), "robust").loc["matched_parameters"].iloc[0]
    half = 4.302653 / 3**0.5
    assert row["gain_seeds_nats_low"] == pytest.approx(1 - half, rel=1e-5)
    assert row["gain_seeds_nats_high"] == pytest.approx(1 + half, rel=1e-5)
    assert row["interval_over"] == "seeds and speakers"
    assert verdict_of(of_seeds(levels))["verdict"] == "UNDECIDED"


def test_one_seed_that_switched_off_does_not_stop():
    runs = [run_of("robust")._replace(seed=n) for n in range(5)]
    runs[0] = run_of("robust", is_off=True)
    directs = {(BASE, n): direct_predictors() for n in range(5)}
    row = verdict_of(memory_table(runs, directs, "position", SLICES, 0.95))
    assert row["verdict"] == "PROCEED"


def tuned(control: str, level: float) -> pd.DataFrame:
    """`memory.csv` of a memory whose control has another point that is as good on val."""
    run = run_of("robust")
    point = speaker_sums({"point": level}).drop(columns="model")
    return published([run._replace(near={control: {1: point}})])


@pytest.mark.parametrize("control", ["matched_parameters", "matched_flops", "memory"])
def test_a_verdict_whose_sign_hangs_on_the_tuning_is_undecided(control: str):
    """World `logistic`, against a net of equal work: +1.34 nats with dropout .4, -1.27 without."""
    beaten, beating = (85.0, 87.2) if control != "memory" else (87.5, 86.1)
    row = verdict_of(tuned(control, beaten))
    assert row["verdict"] == "UNDECIDED" and "hangs on the tuning" in row["reason"]
    assert verdict_of(tuned(control, beating))["verdict"] == "PROCEED"


def test_a_stop_that_hangs_on_the_tuning_is_undecided():
    run = run_of("robust", {"matched_flops": 85.0})
    point = speaker_sums({"point": 88.0}).drop(columns="model")
    row = verdict_of(published([run._replace(near={"matched_flops": {2: point}})]))
    assert row["verdict"] == "UNDECIDED" and row["deciding_control"] == "matched_flops"
