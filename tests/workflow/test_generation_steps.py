"""The generation stage's steps on a small representation: train, resume, evaluate, publish."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.columns import choose
from engram_audio.artifacts.json_document import read_json
from engram_audio.artifacts.latents import LatentMetadata, write_latent_shard
from engram_audio.artifacts.table import write_table
from engram_audio.errors import InputError
from engram_audio.generation.audio_config import AudioScoresSection
from engram_audio.generation.names import NULLS, RUN_SWAPS, SWAPS
from engram_audio.generation.verdicts import verdict_rows
from engram_audio.steps import (
    evaluate_generators,
    fit_linear_nulls,
    tabulate_generation,
    train_generators,
)
from engram_audio.steps._members import FOLDER
from engram_audio.training import loop
from tests import studies
from tests.frozen_argv import run_step
from tests.unit.generation_tables import generation_bars
from tests.unit.generator_material import HEADS, LATENT, MINIMAL, SETTINGS
from tests.unit.memory_material import table_of
from tests.unit.prediction_material import make_block, recipe
from tests.unit.rollout_material import ROLLOUT
from tests.workflow.fitted_keys import key_sections, run_fit_keys
from tests.workflow.test_memory_steps import EVALUATION
from tests.workflow.test_prediction_training import SECTION

ARMS = ["S", "SM", "F", "SMx", "SMn"]
STEPS = 6
PROTOCOL: dict[str, Any] = {
    "seeds": [0, 1], "points": [{"learning_rate": 2e-3, "dropout": 0.0}], "shorter_steps": [],
    "repeated_arms": ["SM"], "ladder": None, "share_sweep": None, "wider": None,
    "replay": {"passes": [1], "is_permuted": True, "minimum_visits": [1000000]},
}  # fmt: skip
GENERATION = {
    "batch_utterances": 4, "num_starts": 8, "num_samples": 2, "horizon_frames": 8,
    "scored_horizons_frames": [1, 8], "free_arms": ["SM", "F", "SMx"], "noise_sds": [0.0, 1.0],
    "has_swaps": True,
    "seed": 0,
}  # fmt: skip
NO_REPLAY = {**PROTOCOL["replay"], "passes": []}
KEY = "last_frame.raw.kmeans_16"


def sections() -> dict[str, Any]:
    small = recipe(num_steps=STEPS, batch_frames=96, checkpoint_interval_steps=5)
    return {
        "prediction": SECTION,
        "prediction_nulls": {"orders": [1], "ridges": [1e-4]},
        "prediction_evaluation": EVALUATION,
        "generator": {
            "recipe": "r", "arms": ARMS, "model": SETTINGS, "insertion": {**MINIMAL, "key": KEY},
        },
        "protocol": PROTOCOL,
        "recipe": small.model_dump(mode="json"),
        "ridge_mixture": {
            "num_components": 2, "maximum_components": 4, "minimum_gain_nats": 0.01,
            "maximum_frames": 1000,
        },
        "evaluation": GENERATION,
        "rollout": ROLLOUT,
        "statistics": {"confidence": 0.95},
        "audio": {
            name: value
            for name, value in studies.study()["generation"]["audio"].items()
            if name in AudioScoresSection.model_fields
        },
        **key_sections(SECTION["window_frames"], [16]),
    }  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Latents of six speakers of a table world, their splits, nulls, keys and sections."""
    folder = tmp_path_factory.mktemp("study")
    block = make_block(table_of(), 6, 6, 0)
    metadata = LatentMetadata("world", 3, 12.5, "world", "0", True, 0)
    write_latent_shard(
        folder / "shard-000.zarr.zip", block, np.arange(len(block.frames)) / 12.5, metadata, {}
    )
    parts = ["select" if n < 6 else "eval" if n >= 24 else "train" for n in range(36)]
    splits = pd.DataFrame({"utterance_id": block.utterance_ids, "split": parts})
    write_table(folder / "splits.parquet", splits, {})
    for name, value in sections().items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    words = [*shared(folder), "--nulls-section", folder / "prediction_nulls.json"]
    run_step(fit_linear_nulls, words)
    run_fit_keys(folder)
    return folder


def shared(folder: Path) -> list[Path | str]:
    return [
        "--section", folder / "prediction.json", "--splits", folder / "splits.parquet",
        "--shards", folder / "shard-000.zarr.zip", "--nulls", folder / "nulls.safetensors",
    ]  # fmt: skip


def train(
    study: Path, output: Path, arms: list[str] | None = None, more: Sequence[Path | str] = (),
    **changes: Any,
) -> Path:  # fmt: skip
    """Train into a folder, with sections of its own where they are changed; return the file."""
    output.mkdir(exist_ok=True)
    named = {"generator": "generator", "protocol": "protocol", "recipe": "recipe",
             "null": "ridge_mixture"}  # fmt: skip
    words = [*shared(study), *more]
    for role, name in named.items():
        path = study / f"{name}.json"
        if role in changes:
            path = output / f"{name}.json"
            path.write_text(json.dumps({**sections()[name], **changes[role]}))
        words += [f"--{role}-section", path]
    words += [
        "--key-file", study / "keys.safetensors", "--tensorboard", output / "tensorboard",
        "--device", "cpu", "--representation", "world", "--generator", "one_frame",
        "--generators", output / "generators.safetensors", "--history", output / "history.jsonl",
    ]  # fmt: skip
    run_step(train_generators, words, arms=ARMS if arms is None else arms)
    return output / "generators.safetensors"


def count_steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count the optimiser's steps from now on."""
    taken: list[int] = []
    take = loop._train_step

    def counted(*given: Any) -> Any:
        taken.append(1)
        return take(*given)

    monkeypatch.setattr(loop, "_train_step", counted)
    return taken


@pytest.fixture(scope="module")
def trained(study: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train(study, tmp_path_factory.mktemp("trained"))


@pytest.fixture(scope="module")
def published(study: Path, trained: Path) -> dict[str, pd.DataFrame]:
    """The tables of the trained generators."""
    return publish(study, trained, study / "generator.json")


@pytest.fixture(scope="module")
def without_nats(study: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """The tables of an energy head with a memory of bits of the state."""
    folder = tmp_path_factory.mktemp("energy")
    arms = ["S", "SM", "F", "SMx", "SMr"]
    generator = {"arms": arms, "model": {**SETTINGS, "head": HEADS["energy"]},
                 "insertion": {**LATENT, "key": KEY}}  # fmt: skip
    made = train(
        study, folder, arms, generator=generator,
        protocol={"replay": NO_REPLAY, "seeds": [0], "repeated_arms": []},
    )  # fmt: skip
    return publish(study, made, folder / "generator.json")


def publish(
    study: Path,
    trained: Path,
    generator: Path,
    more: Sequence[Path | str] = (),
    told: Sequence[Path | str] = (),
) -> dict[str, pd.DataFrame]:
    """Evaluate and tabulate generators, with more inputs of tables, and with what is told."""
    folder = trained.parent
    words = [
        *shared(study), "--prediction-section", study / "prediction_evaluation.json",
        "--generator-section", generator,
        "--evaluation-section", study / "evaluation.json",
        "--protocol-section", study / "protocol.json",
        "--rollout-section", study / "rollout.json", "--generators", trained,
        "--representation", "world", "--generator", "one_frame", "--device", "cpu",
        "--scores", folder / "scores.parquet", "--health", folder / "health.parquet",
        "--reads", folder / "reads.parquet", "--replays", folder / "replays.parquet",
        "--latency", folder / "latency.parquet", "--summary", folder / "summary.json", *told,
    ]  # fmt: skip
    run_step(evaluate_generators, words)
    names = ["generation"]
    asked = (
        "ladder",
        "cost",
        "share",
        "wider",
        "probes",
        "audio",
        "audio_gains",
    )  # of nothing: empty tables
    names += [
        f"generation_{name}" for name in ("gains", "health", "keys", "replay", "latency", *asked)
    ]
    words = [
        "--statistics-section", study / "statistics.json",
        "--audio-section", study / "audio.json", "--scores", folder / "scores.parquet",
        "--health", folder / "health.parquet", "--reads", folder / "reads.parquet",
        "--replays", folder / "replays.parquet", "--latencies", folder / "latency.parquet",
        "--run-summaries", folder / "summary.json", *more,
        *(word for name in names
          for word in (f"--{name.replace('_', '-')}", folder / f"{name}.csv")),
    ]  # fmt: skip
    run_step(tabulate_generation, words)
    return {name: pd.read_csv(folder / f"{name}.csv", comment="#") for name in names}


def all_finite(table: pd.DataFrame, *names: str) -> bool:
    return bool(np.isfinite(table[list(names)].to_numpy(float)).all())


def test_all_arms_and_nulls_score_the_same_frames(published: dict[str, pd.DataFrame]):
    table = published["generation"]
    assert set(table["arm"]) == {*ARMS, *NULLS}
    assert len(set(table["num_frames"])) == 1 and set(table["num_speakers"]) == {2}
    assert all_finite(table, "nll_nats", "nll_train_nats", "nll_chosen_nats")


def test_a_head_without_a_density_publishes_no_nats(without_nats: dict[str, pd.DataFrame]):
    """Its scores and gains are in energy, its keys are the state's, and no word is made of it."""
    table, gains = without_nats["generation"], without_nats["generation_gains"]
    trained = table.loc[~table["arm"].isin(NULLS)]
    assert all_finite(trained, "energy_score")
    assert trained[["nll_nats", "nll_train_nats", "nll_chosen_nats"]].isna().to_numpy().all()
    assert set(choose(trained, arm=["SM", "SMx", "SMr"])["key"]) == {"state"}
    own = choose(gains, arm="SM")
    assert {"S", "F", "SMx"} <= set(own["against"]) and all_finite(own, "gain_energy")
    assert own[["gain_nats", "delta_nats", "information_nats"]].isna().to_numpy().all()
    reads = without_nats["generation_keys"]
    columns = ["nll_own_nats", "nll_oracle_nats", "nll_foreign_nats"]
    assert reads[columns].isna().to_numpy().all()
    assert all_finite(choose(reads, probe="corrupt"), "flip_rate")
    assert all_finite(without_nats["generation_health"], "energy_score", "energy_distance")
    rows = verdict_rows(
        table, gains, without_nats["generation_health"], without_nats["generation_replay"],
        generation_bars(0.02), "world",
    )  # fmt: skip
    assert rows and not any(row.is_deciding for row in rows)
    assert {row.unit for row in rows if row.measured.value == row.measured.value} == {"SD"}


def test_wrong_codes_cost_and_are_no_arm_of_their_own(published: dict[str, pd.DataFrame]):
    """SM read with wrong codes is paired with SM on the same frames, and never trained."""
    gains = choose(published["generation_gains"], part="eval", against="SM").set_index("arm")
    assert set(gains.index) == set(SWAPS)
    assert gains["gain_nats"].to_numpy(float).all()


def test_budgets_are_matched_and_the_repeat_is_bit_for_bit(published: dict[str, pd.DataFrame]):
    """On a CPU the same training twice is the same to the last bit."""
    rows = published["generation"].drop_duplicates("arm").set_index("arm")
    work = rows["f_gen_flops"].to_dict()
    assert work["F"] >= work["SM"]
    repeated = published["generation"].dropna(subset=["repeat_difference_nats"])
    assert repeated[["arm", "seed", "repeat_difference_nats"]].to_numpy().tolist() == [["SM", 0, 0]]


def test_runs_of_the_listed_arms_have_health_beside_fs(published: dict[str, pd.DataFrame]):
    health = published["generation_health"]
    assert set(health["arm"]) == {"SM", "F", "SMx", *RUN_SWAPS}
    assert set(health["horizon_frames"]) == {1, 8}
    assert not choose(health, arm="F")["excess_over_f"].to_numpy(float).any()
    assert all_finite(health, "energy_distance", "energy_score", "std_ratio")


def test_keys_without_noise_are_the_clean_ones(published: dict[str, pd.DataFrame]):
    """No code flips, and own and clean keys cost the same; under noise both are otherwise."""
    keys = choose(published["generation_keys"], probe="corrupt", arm="SM")
    columns = ["flip_rate", "nll_own_nats", "nll_oracle_nats"]
    clean, noisy = (choose(keys, sigma=sd)[columns].to_numpy(float) for sd in (0.0, 1.0))
    assert not clean[:, 0].any() and noisy[:, 0].min() > 0.3
    assert (clean[:, 1] == clean[:, 2]).all() and noisy[:, 1].min() > clean[:, 1].max()
    gates = choose(published["generation_keys"], probe=["run", "true"])
    assert ((gates["gate_q50"].to_numpy(float) - 0.5) ** 2).max() < 0.45**2
    first = choose(gates, step_frames=1)  # the context of the first step is true in both
    by_probe = first.pivot(index=["arm", "seed"], columns="probe", values="gate_q50")
    assert by_probe["run"].to_numpy() == pytest.approx(by_probe["true"].to_numpy(), abs=1e-6)


def test_arms_that_find_their_own_codes_are_timed(published: dict[str, pd.DataFrame]):
    """One sequence frame by frame: quantiles in their order, and the machine's name."""
    latency = published["generation_latency"]
    assert set(latency["arm"]) == {"S", "SM", "F", "SMn"}
    names = ["latency_ms_p10", "latency_ms", "latency_ms_p90"]
    assert (np.diff(latency[names].to_numpy(float), axis=1) >= 0).all()
    assert latency["machine"].str.len().min() > 0
    rows = published["generation"].set_index("arm")
    assert set(rows.loc["SM", "places"]) == {"before_block_2"}
    assert set(rows.loc["S", "noise"]) == {"none"} and bool(rows.loc["S", "places"].isna().all())


def test_a_replay_scores_s_and_sm_after_each_number_of_passes(
    published: dict[str, pd.DataFrame],
):
    """With every row masked SM's key says nothing: all its contexts read the same row of zeros."""
    replay = published["generation_replay"]
    assert set(replay["num_passes"]) == {1} and set(replay["seed"]) == {0, 1}
    kinds = set(zip(replay["arm"], replay["is_permuted"], replay["minimum_visits"], strict=True))
    most = PROTOCOL["replay"]["minimum_visits"][0]
    assert kinds == {("S", False, 0), *(("SM", dealt, least) for dealt in (False, True)
                                        for least in (0, most))}  # fmt: skip
    assert all_finite(replay, "nll_train_nats", "nll_eval_nats")
    own = choose(replay, arm="SM").set_index(["is_permuted", "minimum_visits"])
    assert set(own.loc[(False, 0), "nll_eval_nats"]) != set(own.loc[(True, 0), "nll_eval_nats"])
    assert set(own.loc[(False, 0), "nll_eval_nats"]) != set(own.loc[(False, most), "nll_eval_nats"])


def test_a_chosen_point_is_trained_once_and_each_arm_has_its_own(
    study: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Three points, one seed: three trainings of each arm, none twice."""
    taken = count_steps(monkeypatch)
    points = [{"learning_rate": rate, "dropout": 0.0} for rate in (1e-5, 2e-3, 4e-3)]
    path = train(
        study, tmp_path / "tuned", ["S", "SM"],
        protocol={"points": points, "seeds": [0], "repeated_arms": [], "replay": NO_REPLAY},
    )  # fmt: skip
    assert len(taken) == 2 * 3 * STEPS
    _, header = read_bundle(path)
    assert [one["arm"] for one in header["members"]] == ["S", "SM"]
    assert all(one["learning_rate"] > 1e-5 for one in header["members"])


def test_what_is_finished_outlives_a_kill_a_failure_and_a_stale_member(
    study: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Killed before the file is written, then one arm changes: only that is trained anew."""
    place, taken = tmp_path / "killed", count_steps(monkeypatch)
    plain = {"replay": NO_REPLAY}

    def killed(*arms: str, **changes: Any) -> dict[str, bytes]:
        taken.clear()

        def kill(*_: object) -> None:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(train_generators, "write_bundle", kill)
            train(study, place, list(arms), protocol=plain, **changes)
        assert not list(place.glob(".checkpoint-*"))
        return {path.name: path.read_bytes() for path in (place / FOLDER).iterdir()}

    kept = killed("S", "SM", "SMx")
    assert len(taken) == 7 * STEPS and len(kept) == 7
    # another memory: S does not read it
    now = killed("S", "SM", generator={"insertion": {**MINIMAL, "key": KEY, "row_width": 5}})
    assert len(taken) == 3 * STEPS and kept.items() <= now.items()
    taken.clear()
    (place / FOLDER / next(iter(kept))).write_bytes(b"half a file")
    again = train(study, place, ["S", "SM", "SMx"], protocol=plain)
    assert len(taken) == STEPS and not (place / FOLDER).exists()
    taken.clear()  # whole, and one more arm is asked for
    assert train(study, place, ["S", "SM", "SMx", "F"], protocol=plain) == again
    assert len(taken) == 2 * STEPS
    whole, arrays = read_bundle(trained)[0], read_bundle(again)[0]
    assert all(np.array_equal(values, whole[name]) for name, values in arrays.items())


def test_a_failing_member_leaves_the_others_and_names_its_point(study: Path, tmp_path: Path):
    wild = [{"learning_rate": 1e8, "dropout": 0.0}]
    place = tmp_path / "wild"
    with pytest.raises(InputError, match=r"^generation\.points: .* diverged: .*; lower learning"):
        protocol = {"points": wild, "seeds": [0], "replay": NO_REPLAY}
        train(study, place, ["S", "SM"], protocol=protocol,
              recipe={"gradient_clip": 1e8})  # fmt: skip
    assert not (place / "generators.safetensors").exists()


def test_the_summary_says_what_each_arm_reads(trained: Path, published: object):
    members = read_json(trained.parent / "summary.json")["members"]
    keys = {row["arm"]: row["key"] for row in members}
    assert keys["SM"] == keys["SMx"] == KEY and keys["S"] == keys["F"] == ""
