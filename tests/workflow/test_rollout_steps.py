"""The rollout's steps on a small representation on disk: train, resume, evaluate, tabulate."""

import json
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.bundle import read_bundle, write_bundle
from engram_audio.artifacts.latents import LatentMetadata, write_latent_shard
from engram_audio.artifacts.table import write_table
from engram_audio.steps import (
    evaluate_rollout,
    fit_linear_nulls,
    refit_memory,
    tabulate_rollout,
    train_density,
    train_rollout,
)
from tests.frozen_argv import run_step, steps_until_written
from tests.report_verdicts import BARS
from tests.unit.factorizer_material import recipe
from tests.unit.memory_material import lookup
from tests.unit.prediction_material import first_order, head_settings, make_block
from tests.unit.rollout_material import METHODS, ROLLOUT
from tests.workflow.fitted_keys import key_sections, run_fit_keys
from tests.workflow.test_prediction_training import SECTION, command, environment, interrupt

GUARD = {"kind": "nearest", "num_frames": 64, "num_neighbours": 1, "quantile": 0.99,
         "num_attempts": 2}  # fmt: skip
RUNS = {"one_step": {"guard": GUARD}, "k_step": {}, "belief": {}}
WITH_BASE = ("one_step", "k_step")


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Latents of four speakers, splits, nulls, a head of one step and frozen sections."""
    folder = tmp_path_factory.mktemp("study")
    block = make_block(first_order(0.7, 4), 4, 10, 0)
    metadata = LatentMetadata("world", 4, 12.5, "world", "0", True, 0)
    time_s = np.arange(len(block.frames)) / 12.5
    write_latent_shard(folder / "shard-000.zarr.zip", block, time_s, metadata, {})
    parts = ["val" if n % 5 == 0 else "eval" if n >= 20 else "train" for n in range(40)]
    splits = pd.DataFrame({"utterance_id": block.utterance_ids, "split": parts})
    write_table(folder / "splits.parquet", splits, {})
    sections = {
        "prediction": SECTION,
        "prediction_nulls": {"orders": [1, 2], "ridges": [1e-4]},
        "head": head_settings(num_components=2).model_dump(mode="json"),
        "head_recipe": recipe(num_steps=20, batch_frames=64).model_dump(mode="json"),
        "recipe": recipe(num_steps=20, batch_frames=64).model_dump(mode="json"),
        "long_recipe": recipe(num_steps=1500, batch_frames=64).model_dump(mode="json"),
        "rollout": ROLLOUT,
        "statistics": {"confidence": 0.95},
        "rollout_bars": BARS,
        "memory": {"target": "delta", "num_folds": 2},
        "lookup": lookup().model_dump(mode="json"),
        "refit": {"kind": "refit", "method": "k_step", "memory": "lookup"},
        **{f"method_{name}": {**METHODS[name], **changes} for name, changes in RUNS.items()},
        **key_sections(SECTION["window_frames"], [16]),
    }
    for name, value in sections.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    nulls = [*shared(folder), "--nulls-section", folder / "prediction_nulls.json"]
    run_step(fit_linear_nulls, [str(part) for part in nulls])
    run_fit_keys(folder)
    head = [
        *shared(folder), "--head-section", folder / "head.json",
        "--recipe-section", folder / "head_recipe.json", "--lag", "1", "--seed", "0",
        "--tensorboard", folder / "tensorboard", "--device", "cpu",
        "--model", folder / "head.safetensors", "--history", folder / "head.jsonl",
    ]  # fmt: skip
    run_step(train_density, [str(part) for part in head])
    return folder


def shared(folder: Path) -> list[Path | str]:
    return [
        "--section", folder / "prediction.json", "--splits", folder / "splits.parquet",
        "--shards", folder / "shard-000.zarr.zip", "--nulls", folder / "nulls.safetensors",
    ]  # fmt: skip


def place(folder: Path, name: str) -> Path:
    return folder / "rollout" / "world" / name / "seed-0"


def base(folder: Path, name: str) -> list[Path | str]:
    return ["--base-model", folder / "head.safetensors"] if name in WITH_BASE else []


def training(folder: Path, name: str, output: Path, recipe_name: str = "recipe") -> list[str]:
    arguments = [
        *shared(folder), "--method-section", folder / f"method_{name}.json",
        *base(folder, name), "--seed", "0", "--device", "cpu",
        "--tensorboard", output / "tensorboard", "--model", output / "model.safetensors",
        "--history", output / "history.jsonl",
    ]  # fmt: skip
    if name != "one_step":
        arguments += ["--recipe-section", folder / f"{recipe_name}.json"]
    return [str(part) for part in arguments]


@pytest.fixture(scope="module")
def evaluated(study) -> Path:
    """Every method trained and evaluated."""
    for name in RUNS:
        output = place(study, name)
        run_step(train_rollout, training(study, name, output))
        arguments = [
            *shared(study), "--method-section", study / f"method_{name}.json",
            "--rollout-section", study / "rollout.json", *base(study, name),
            "--model", output / "model.safetensors", "--seed", "0", "--device", "cpu",
            "--representation", "world", "--method", name,
            "--scores", output / "scores.parquet", "--health", output / "health.parquet",
            "--differences", output / "differences.parquet",
        ]  # fmt: skip
        run_step(evaluate_rollout, [str(part) for part in arguments])
    return study


def test_scores_hold_all_modes_of_val_and_eval(evaluated):
    scores = pd.read_parquet(place(evaluated, "one_step") / "scores.parquet")
    assert set(scores["part"]) == {"val", "eval"}
    assert set(scores["mode"]) == {"sampled", "mean"}
    assert set(scores.query("part == 'eval'")["inject_frames"]) == {0, 2}
    first = scores.query("part == 'eval' and mode == 'sampled' and inject_frames == 0")
    assert first.query("horizon_frames == 1")["num_starts"].sum() == ROLLOUT["num_starts"]
    forecast = pd.read_parquet(place(evaluated, "belief") / "scores.parquet")
    assert set(forecast["mode"]) == {"forecast"}


def test_starts_are_the_same_for_every_method(evaluated):
    """Speakers and numbers of starts agree, so that shares are paired."""
    found = []
    for name, mode in (("one_step", "sampled"), ("k_step", "sampled"), ("belief", "forecast")):
        scores = pd.read_parquet(place(evaluated, name) / "scores.parquet")
        rows = scores.loc[
            (scores["mode"] == mode) & (scores["inject_frames"] == 0)
            & (scores["horizon_frames"] == 1) & (scores["part"] == "eval")
        ]  # fmt: skip
        found.append(rows.set_index("speaker_id")["num_starts"].sort_index())
    assert found[0].equals(found[1]) and found[0].equals(found[2])


def tabulated(evaluated: Path, files: dict[str, list[Path]], output: Path) -> list[pd.DataFrame]:
    """Tables of some runs' files, of which option and order say what they are."""
    arguments = [
        "--rollout-section", evaluated / "rollout.json",
        "--bars-section", evaluated / "rollout_bars.json",
        "--statistics-section", evaluated / "statistics.json",
        *(part for option, paths in files.items() for part in (option, *paths)),
        "--rollout", output / "rollout.csv", "--rollout-sweep", output / "rollout_sweep.csv",
    ]  # fmt: skip
    run_step(tabulate_rollout, arguments, sweeps=dict.fromkeys(RUNS, ""))
    names = ("rollout", "rollout_sweep")
    return [pd.read_csv(output / f"{name}.csv", comment="#") for name in names]


def test_tables_hold_every_method_wherever_its_files_lie(evaluated, tmp_path):
    """Files that are moved and renamed give the same tables: each says itself what it is of."""
    files = {
        option: [place(evaluated, name) / file for name in RUNS]
        for option, file in (
            ("--models", "model.safetensors"), ("--scores", "scores.parquet"),
            ("--health", "health.parquet"), ("--differences", "differences.parquet"),
        )
    }  # fmt: skip
    table, sweep = tabulated(evaluated, files, tmp_path)
    moved = {
        option: [
            Path(shutil.copy(path, tmp_path / f"{number}{option}{path.suffix}"))
            for number, path in enumerate(paths)
        ]
        for option, paths in files.items()
    }
    for before, after in zip((table, sweep), tabulated(evaluated, moved, tmp_path), strict=True):
        pd.testing.assert_frame_equal(before, after)
    assert set(table["method"]) == set(RUNS)
    upto = table.query("method == 'one_step' and mode == 'sampled' and span == 'up_to'")
    assert np.isfinite(upto["kept_position"]).all()
    assert set(upto["guard"]) == {"nearest"}
    assert set(sweep["method"]) == {"one_step", "k_step"}


def test_folds_of_another_base_are_tuned_anew(
    evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A killed refit goes on with the same files, and starts anew with another base model."""
    base, arrays = tmp_path / "base.safetensors", read_bundle(evaluated / "head.safetensors")
    head = evaluated / "head.safetensors"

    def taken(note: str) -> int:
        write_bundle(base, arrays[0], {"models": arrays[1]["models"], "note": note})
        sections = {
            "stage": "memory", "method": "refit", "tuned": "method_k_step", "memory": "lookup",
            "recipe": "recipe",
        }  # fmt: skip
        named = [
            word
            for role, name in sections.items()
            for word in (f"--{role}-section", evaluated / f"{name}.json")
        ]
        words = [
            *shared(evaluated), *named, "--tuned-model", place(evaluated, "k_step") /
            "model.safetensors", "--base-model", base,
            "--key-file", evaluated / "keys.safetensors", "--folds", head, head, "--seed", "0",
            "--device", "cpu", "--tensorboard", tmp_path, "--model", tmp_path / "model.safetensors",
            "--history", tmp_path / "history.jsonl",
        ]  # fmt: skip
        return steps_until_written(refit_memory, words, monkeypatch)

    assert taken("one") == 2 * 20
    assert taken("one") == 0
    assert taken("another") == 2 * 20


def test_a_missing_base_is_one_clear_line(study, tmp_path):
    arguments = training(study, "k_step", tmp_path)
    number = arguments.index("--base-model")
    done = subprocess.run(
        command("train_rollout", arguments[:number] + arguments[number + 2 :]), env=environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "base head: its file is missing" in done.stderr.strip().splitlines()[-1]


def test_utterances_shorter_than_the_training_horizon_are_one_clear_line(study, tmp_path):
    long = {**METHODS["belief"], "horizon_frames": 500}
    (tmp_path / "method_belief.json").write_text(json.dumps(long))
    arguments = training(study, "belief", tmp_path)
    arguments[arguments.index("--method-section") + 1] = str(tmp_path / "method_belief.json")
    done = subprocess.run(
        command("train_rollout", arguments), env=environment(), capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "no utterance of 4 + 500 frames" in done.stderr.strip().splitlines()[-1]


@pytest.mark.slow
def test_killed_training_ends_with_the_same_bits(study, tmp_path):
    """SIGKILL twice and SIGTERM once at random moments, then to the end."""
    whole = command("train_rollout", training(study, "k_step", tmp_path / "whole", "long_recipe"))
    subprocess.run(whole, check=True, env=environment())
    broken = tmp_path / "broken"
    arguments = command("train_rollout", training(study, "k_step", broken, "long_recipe"))
    generator = np.random.default_rng(0)
    for number in [signal.SIGKILL] * 2 + [signal.SIGTERM]:
        code = interrupt(arguments, broken, number, generator.uniform(0.0, 0.6))
        assert code in (-signal.SIGKILL, 128 + signal.SIGTERM)
        assert not (broken / "model.safetensors").exists()
    subprocess.run(arguments, check=True, env=environment())
    first, second = (
        read_bundle(tmp_path / name / "model.safetensors")[0] for name in ("whole", "broken")
    )
    for name, values in first.items():
        assert np.array_equal(values, second[name]), name
