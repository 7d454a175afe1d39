"""More sizes and probes by their steps on a small representation: trained, priced, asked, told."""

from json import dumps
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.columns import choose
from engram_audio.generation.cost_tables import (
    Priced,
    Probed,
    cost_table,
    ladder_table,
    probes_table,
    share_table,
    wider_table,
)
from engram_audio.generation.probes.asked import LAW, UNTRAINED
from engram_audio.steps import price_generators, probe_generators
from tests.frozen_argv import run_step
from tests.workflow.test_generation_steps import (
    NO_REPLAY,
    STEPS,
    count_steps,
    shared,
    study,
    train,
)

__all__ = ["study"]  # a fixture
ARMS = ["S", "SM", "F", "SMx", "SM1"]
SIZES: dict[str, Any] = {
    "ladder": {"work_factors": [2.0], "num_samples": 4},
    "share_sweep": {"shares": [0.2], "held": ["num_resident"]},
    "wider": {"width_factor": 2.0},
}
NAMES = ["clamp", "flip", "donors", "visits", "drift", "readouts"]
PROBES = {"names": NAMES, "num_frames": 200, "num_pairs": 40, "seed": 0}
BANK = {"num_components": [8], "minimum_gain_nats": 0.0, "maximum_frames": 2000, "iterations": 4,
        "shrinkage_frames": 20.0, "noise_fraction": 0.01}  # fmt: skip
ONE = ("world", "one_frame")


@pytest.fixture(scope="module")
def trained(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sizes")
    protocol = {"seeds": [0, 1, 2], "repeated_arms": [], "replay": NO_REPLAY, **SIZES}
    return train(study, place, ARMS, protocol=protocol)


def words(study: Path, trained: Path) -> list[Path | str]:
    return [
        *shared(study), "--prediction-section", study / "prediction_evaluation.json",
        "--evaluation-section", study / "evaluation.json", "--generators", trained,
        "--representation", "world", "--generator", "one_frame", "--device", "cpu",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def priced(study: Path, trained: Path) -> Priced:
    sums = trained.parent / "prices.parquet"
    protocol = trained.parent / "protocol.json"
    run_step(price_generators, [
        *words(study, trained), "--protocol-section", protocol, "--sums", sums,
    ])  # fmt: skip
    return Priced(*ONE, pd.read_parquet(sums))


@pytest.fixture(scope="module")
def probed(study: Path, trained: Path) -> pd.DataFrame:
    place = trained.parent
    for name, section in (("probes", PROBES), ("bank", BANK)):
        (place / f"{name}.json").write_text(dumps(section))
    run_step(probe_generators, [
        *words(study, trained), "--probes-section", place / "probes.json",
        "--bank-section", place / "bank.json", "--probes", place / "probes.parquet",
    ])  # fmt: skip
    found = Probed(*ONE, pd.read_parquet(place / "probes.parquet"))
    return probes_table([found], 0.95)


def numbers(table: pd.DataFrame, name: str) -> np.ndarray:
    return table[name].to_numpy(float)


def test_prices_are_of_the_same_frames_and_budgets_are_held(priced: Priced):
    on_eval = choose(priced.sums, part="eval")
    by_size = on_eval.groupby(["kind", "value", "arm", "seed"])
    assert len({own["num_frames"].to_numpy(float).sum() for _, own in by_size}) == 1
    ladder = ladder_table([priced], 0.95)
    assert list(ladder["size"]) == ["S", "F", "2 x SM", "SM"]
    _, _, larger, own = numbers(ladder, "f_gen_flops")
    assert 1 <= larger / (2 * own) <= 1.1
    names = ["nll_nats_low", "energy_score", "energy_score_high"]
    assert np.isfinite(ladder[names].to_numpy(float)).all()
    shares = share_table([priced], 0.95)
    assert (numbers(shares, "num_resident") >= numbers(ladder, "num_resident")[-1]).all()
    assert list(shares["share"]) == [0, 0.2] and sum(shares["is_best"]) == 1
    assert numbers(shares, "depth_nats")[0] == 0


def test_costs_have_a_row_for_each_quality_and_budget(priced: Priced):
    costs = cost_table([priced], {ONE: 0.02}, 0.95)
    pairs = list(zip(costs["quality"], costs["budget"], strict=True))
    assert pairs == [(q, b) for q in ("nll", "energy") for b in ("work", "numbers")]
    of_energy = choose(costs, quality="energy")
    assert np.isnan(numbers(of_energy, "multiplier_within_margin")).all()
    value, first, last = (
        numbers(costs, name) for name in ("multiplier", "first_ratio", "last_ratio")
    )
    assert ((first <= value) & (value <= last)).all()
    wider = wider_table([priced], {ONE: 0.02}, 0.95)
    assert list(wider["against"]) == ["S", "F"] and set(wider["width"]) == {32}


def test_every_probe_is_told_with_intervals_and_known_zeros(probed: pd.DataFrame):
    assert {*probed["probe"]} == {"clamp", "flip", "donors", "visits", "drift", "readout"}
    flips = choose(probed, probe="flip", measure="half_difference_nats", condition="net")
    by_arm = dict(zip(flips["arm"], numbers(flips, "value"), strict=True))
    assert by_arm["SM1"] == 0 and {*by_arm} == {LAW, "SM", "SMx", "SM1"}
    assert by_arm[LAW] > 0.1
    has_speakers = numbers(probed, "num_speakers") > 1
    assert np.isfinite(numbers(probed, "value_low")[has_speakers]).mean() > 0.9
    shares = choose(probed, probe="visits", measure="share_of_frames")
    assert numbers(shares, "value").sum() == pytest.approx(1)
    conditions = set(choose(probed, probe="readout")["condition"])
    blocks = {f"block_{number}" for number in range(3)}
    assert conditions == blocks | {UNTRAINED + name for name in blocks}
    drifted = choose(probed, probe="drift", measure="row_rms_ratio")
    assert {*drifted["arm"]} == {"SM", "SMx"} and (numbers(drifted, "value") != 1).all()


def test_sizes_are_members_of_the_same_job_and_each_is_trained_once(
    study: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
):
    """A point, two shares and three wider arms with three seeds; another point trains alone."""
    _, header = read_bundle(trained)
    kinds = [(one["kind"], one["value"], one["arm"]) for one in header["variants"]]
    wanted = [("ladder", 2.0, "S"), ("share", 0.0, "S"), ("share", 0.2, "SM")]
    wanted += [("wider", 2.0, arm) for arm in ("S", "SM", "F")]
    assert kinds == [size for size in wanted for _ in range(3)]
    taken = count_steps(monkeypatch)
    protocol = {"seeds": [0, 1, 2], "repeated_arms": [], "replay": NO_REPLAY, **SIZES}
    protocol["ladder"] = {"work_factors": [2.0, 3.0], "num_samples": 4}
    train(study, trained.parent, ARMS, protocol=protocol)
    assert len(taken) == 3 * STEPS, "the new point alone"


def test_nothing_asked_gives_empty_tables():
    for table in (ladder_table([], 0.95), share_table([], 0.95), probes_table([], 0.95)):
        assert table.empty and len(table.columns)
    assert cost_table([], {}, 0.95).empty and wider_table([], {}, 0.95).empty
