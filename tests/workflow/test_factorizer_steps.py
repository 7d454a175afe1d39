"""The factorizer's steps on a small representation on disk: train, score, export, tabulate."""

import json
import signal
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.latents import LatentMetadata, LatentStore, write_latent_shard
from engram_audio.artifacts.table import write_table
from engram_audio.steps import (
    evaluate_factorizer,
    export_states,
    fit_linear_nulls,
    train_factorizer,
)
from tests.frozen_argv import run_step
from tests.unit.factorizer_material import recipe, settings
from tests.unit.prediction_material import first_order, make_block
from tests.workflow.test_prediction_training import SECTION, command, environment, interrupt

LIMITS = {
    "minimum_effective_rank": 0.0, "minimum_state_sd": 0.0, "minimum_movement": 0.0,
    "minimum_state_use_nats": 0.0,
    "minimum_active_nats": 0.0, "minimum_prior_cost": 0.0, "action": "fail",
}  # fmt: skip
EVALUATION = {"num_importance_samples": 4, "batch_utterances": 4, "seed": 0}


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Latents of ten speakers, their splits, nulls and frozen sections."""
    folder = tmp_path_factory.mktemp("study")
    (folder / "latents" / "world").mkdir(parents=True)
    block = make_block(first_order(0.7, 4), 4, 10, 0)
    metadata = LatentMetadata("world", 4, 12.5, "world", "0", True, 0)
    time_s = np.arange(len(block.frames)) / 12.5
    write_latent_shard(
        folder / "latents" / "world" / "shard-000.zarr.zip", block, time_s, metadata, {}
    )
    parts = ["val" if n % 5 == 0 else "eval" if n >= 30 else "train" for n in range(40)]
    splits = pd.DataFrame({"utterance_id": block.utterance_ids, "split": parts})
    write_table(folder / "splits.parquet", splits, {})
    evaluation = {
        "slices": ["all"], "medial_range": [0.17, 0.83], "speech_range_db": 35.0,
        "maximum_train_frames": 1000,
        "batch_frames": 256, "num_samples": 4, "maximum_sampled_frames": 100,
        "maximum_stored_frames": 1000, "num_negatives": 3, "num_worst_frames": 2,
        "trimmed_fraction": 0.01, "quantiles": [0.5], "principal_subspaces": [2],
        "num_calibration_bins": 4, "rollout_horizon_frames": 4, "num_rollout_starts": 4,
        "divergence_factor": 10.0, "seed": 0,
    }  # fmt: skip
    sections = {
        "prediction": SECTION,
        "prediction_nulls": {"orders": [1, 2], "ridges": [1e-4]},
        "prediction_evaluation": evaluation,
        "variant": settings(chunk_frames=12, burn_in_frames=2).model_dump(mode="json"),
        "recipe": recipe(num_steps=30).model_dump(mode="json"),
        "long_recipe": recipe(num_steps=1500).model_dump(mode="json"),
        "health": LIMITS,
        "factorizer_evaluation": EVALUATION,
        "state": {"kind": "state", "source": "world", "factorizer": "charged", "seed": 0},
    }
    for name, value in sections.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    arguments = [
        *shared(folder), "--nulls", folder / "nulls.safetensors",
        "--nulls-section", folder / "prediction_nulls.json",
    ]  # fmt: skip
    run_step(fit_linear_nulls, [str(part) for part in arguments])
    return folder


def shared(folder: Path) -> list[Path | str]:
    return [
        "--section", folder / "prediction.json", "--splits", folder / "splits.parquet",
        "--shards", folder / "latents" / "world" / "shard-000.zarr.zip",
    ]  # fmt: skip


def training(
    folder: Path, output: Path, recipe_name: str = "recipe", health: Path | None = None
) -> list[str]:
    arguments = [
        *shared(folder), "--variant-section", folder / "variant.json",
        "--recipe-section", folder / f"{recipe_name}.json",
        "--health-section", health or folder / "health.json",
        "--nulls", folder / "nulls.safetensors", "--seed", "0", "--device", "cpu",
        "--tensorboard", output / "tensorboard", "--model", output / "model.safetensors",
        "--history", output / "history.jsonl",
    ]  # fmt: skip
    return [str(part) for part in arguments]


@pytest.fixture(scope="module")
def trained(study) -> Path:
    run_step(train_factorizer, training(study, study / "trained"))
    return study / "trained"


def test_a_model_says_how_it_fares(trained):
    _, header = read_bundle(trained / "model.safetensors")
    assert header["collapse"] == ""
    assert {"error_shuffled_rec", "state_movement", "innovation_nats"} <= header["health"].keys()
    records = [json.loads(line) for line in (trained / "history.jsonl").read_text().splitlines()]
    assert records[-1]["step"] == 30 and "state_nats" in records[-1]


def test_scores_are_those_of_the_prediction_stages_frames(study, trained):
    """W = 4 and lags up to 2: frames 5 and later of eval utterances."""
    arguments = [
        *shared(study), "--prediction-evaluation-section", study / "prediction_evaluation.json",
        "--evaluation-section", study / "factorizer_evaluation.json",
        "--nulls", study / "nulls.safetensors", "--model", trained / "model.safetensors",
        "--seed", "0", "--scores", trained / "scores.parquet", "--device", "cpu",
    ]  # fmt: skip
    run_step(evaluate_factorizer, [str(part) for part in arguments])
    scores = pd.read_parquet(trained / "scores.parquet")
    index = LatentStore([study / "latents" / "world" / "shard-000.zarr.zip"]).index
    splits = pd.read_parquet(study / "splits.parquet").query("split == 'eval'")
    held_out = index["utterance_id"].isin(splits["utterance_id"])
    expected = (index.loc[held_out, "num_frames"] - 5).clip(lower=0).sum()
    assert scores.loc[scores["part"] == "eval", "num_frames"].sum() == expected
    assert np.isfinite(scores.drop(columns=["slice", "speaker_id", "part"]).to_numpy()).all()


def test_an_exported_state_is_a_representation(study, trained):
    output = study / "latents" / "world_state" / "shard-000.zarr.zip"
    arguments = [
        "--section", study / "state.json", "--model", trained / "model.safetensors",
        "--latents", study / "latents" / "world" / "shard-000.zarr.zip",
        "--representation", "world_state", "--state-latents", output, "--device", "cpu",
    ]  # fmt: skip
    run_step(export_states, [str(part) for part in arguments])
    store = LatentStore([output])
    assert store.metadata.num_dims == 2
    assert "z_dyn" in store.metadata.latent_space
    source = LatentStore([study / "latents" / "world" / "shard-000.zarr.zip"])
    assert store.index.equals(source.index)


def test_a_collapsed_run_fails_with_the_reason_and_writes_nothing(study, tmp_path):
    limits = tmp_path / "health.json"
    limits.write_text(json.dumps({**LIMITS, "minimum_active_nats": 1e3}))
    done = subprocess.run(
        command("train_factorizer", training(study, tmp_path / "out", health=limits)),
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "collapsed: z_rec is not used" in last and "factorizer.health.action" in last
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_burn_in_longer_than_every_utterance_is_one_clear_line(study, tmp_path):
    section = settings(chunk_frames=900, burn_in_frames=800).model_dump(mode="json")
    (tmp_path / "variant.json").write_text(json.dumps(section))
    arguments = training(study, tmp_path / "out")
    arguments[arguments.index("--variant-section") + 1] = str(tmp_path / "variant.json")
    done = subprocess.run(
        command("train_factorizer", arguments), env=environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "burn_in_frames 800" in done.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_killed_training_ends_with_the_same_bits(study, tmp_path):
    """SIGKILL four times and SIGTERM once at random moments, then to the end."""
    whole = command("train_factorizer", training(study, tmp_path / "whole", "long_recipe"))
    subprocess.run(whole, check=True, env=environment())
    broken = tmp_path / "broken"
    arguments = command("train_factorizer", training(study, broken, "long_recipe"))
    generator = np.random.default_rng(0)
    for number in [signal.SIGKILL] * 4 + [signal.SIGTERM]:
        code = interrupt(arguments, broken, number, generator.uniform(0.0, 0.6))
        assert code in (-signal.SIGKILL, 128 + signal.SIGTERM)
        assert not (broken / "model.safetensors").exists()
    subprocess.run(arguments, check=True, env=environment())
    first, second = (
        read_bundle(tmp_path / name / "model.safetensors") for name in ("whole", "broken")
    )
    assert first[1]["health"] == second[1]["health"]
    for name, values in first[0].items():
        assert np.array_equal(values, second[0][name]), name
