"""The training step under SIGKILL and SIGTERM: the same weights as an undisturbed run."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.bundle import read_bundle
from engram_audio.artifacts.latents import LatentMetadata, write_latent_shard
from engram_audio.artifacts.table import write_table
from tests.frozen_argv import frozen_argv
from tests.unit.prediction_material import (
    first_order,
    head_settings,
    make_block,
    recipe,
)

ROOT = Path(__file__).parents[2]
SECTION = {
    "window_frames": 4, "lags_frames": [1, 2], "targets": ["delta", "position"],
    "dequantization_fraction": 0.01, "resident_memory_gib": 1.0, "block_frames": 2048,
    "noise_seed": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> dict[str, list[str]]:
    """A small representation on disk with its linear nulls, and the arguments of a training."""
    folder = tmp_path_factory.mktemp("study")
    block = make_block(first_order(0.7, 4), 4, 10, 0)
    metadata = LatentMetadata("world", 4, 12.5, "world", "0", True, 0)
    time_s = np.arange(len(block.frames)) / 12.5
    shard = folder / "shard-000.zarr.zip"
    write_latent_shard(shard, block, time_s, metadata, {})
    parts = ["val" if n % 5 == 0 else "eval" if n >= 30 else "train" for n in range(40)]
    splits = pd.DataFrame({"utterance_id": block.utterance_ids, "split": parts})
    write_table(folder / "splits.parquet", splits, {})
    settings = recipe(num_steps=3000, batch_frames=64, checkpoint_interval_steps=50)
    sections = {
        "prediction": SECTION,
        "prediction_nulls": {"orders": [1, 2], "ridges": [1e-4]},
        "prediction_heads.mixture": head_settings().model_dump(mode="json"),
        "prediction_recipes.cpu": settings.model_dump(mode="json"),
    }
    for name, value in sections.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    shared = [
        "--section", folder / "prediction.json", "--splits", folder / "splits.parquet",
        "--shards", shard, "--nulls", folder / "nulls.safetensors",
    ]  # fmt: skip
    nulls = [*shared, "--nulls-section", folder / "prediction_nulls.json"]
    subprocess.run(command("fit_linear_nulls", nulls), check=True, env=environment())
    training = [
        *shared, "--head-section", folder / "prediction_heads.mixture.json",
        "--recipe-section", folder / "prediction_recipes.cpu.json", "--lag", "2", "--seed", "0",
        "--tensorboard", folder / "tensorboard", "--device", "cpu",
    ]  # fmt: skip
    return {"training": [str(part) for part in training]}


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def command(step: str, arguments: list) -> list[str]:
    argv = frozen_argv(step, [str(word) for word in arguments])
    return [sys.executable, "-m", f"engram_audio.steps.{step}", *argv]


def training(study: dict[str, list[str]], folder: Path) -> list[str]:
    outputs = ["--model", folder / "model.safetensors", "--history", folder / "history.jsonl"]
    return command("train_density", [*study["training"], *outputs])


def interrupt(arguments: list[str], folder: Path, number: int, delay_s: float) -> int:
    """Start, wait for a new checkpoint and `delay_s` more, send the signal; return the code."""

    def saved() -> set[int]:
        return {path.stat().st_mtime_ns for path in folder.glob(".checkpoint-*")}

    before = saved()
    process = subprocess.Popen(arguments, env=environment(), stderr=subprocess.DEVNULL)
    while saved() <= before and process.poll() is None:
        time.sleep(0.02)
    time.sleep(delay_s)
    process.send_signal(number)
    return process.wait()


@pytest.mark.slow
def test_killed_training_ends_with_the_same_bits(study, tmp_path):
    """SIGKILL at ten random moments, SIGTERM once, then to the end: the same arrays bit for bit."""
    subprocess.run(training(study, tmp_path / "whole"), check=True, env=environment())
    broken = tmp_path / "broken"
    generator = np.random.default_rng(0)
    for number in [signal.SIGKILL] * 10 + [signal.SIGTERM]:
        code = interrupt(training(study, broken), broken, number, generator.uniform(0.0, 0.6))
        assert code in (-signal.SIGKILL, 128 + signal.SIGTERM)
        assert not (broken / "model.safetensors").exists()
    subprocess.run(training(study, broken), check=True, env=environment())
    first, second = (
        read_bundle(tmp_path / name / "model.safetensors") for name in ("whole", "broken")
    )
    assert first[1]["models"] == second[1]["models"]
    assert first[0].keys() == second[0].keys()
    for name, values in first[0].items():
        assert np.array_equal(values, second[0][name]), name
    histories = [(tmp_path / n / "history.jsonl").read_text() for n in ("whole", "broken")]
    assert histories[0] == histories[1]
    assert not list(broken.glob(".checkpoint-*"))
