"""Arms over z_dyn by their steps: exported, sized, trained, scored and published."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from engram_audio.artifacts.bundle import write_bundle
from engram_audio.artifacts.columns import choose
from engram_audio.artifacts.latents import LatentStore
from engram_audio.factorizer.model import Factorizer, FrameScales
from engram_audio.factorizer.storage import pack_factorizer
from engram_audio.generation.names import split_path
from engram_audio.generation.verdicts import verdict_rows
from engram_audio.steps import (
    evaluate_factorized,
    export_states,
    fit_keys,
    fit_linear_nulls,
    train_generators,
)
from engram_audio.verdicts.row import VerdictRow
from tests.frozen_argv import run_step
from tests.unit.factorizer_material import settings
from tests.unit.generation_tables import generation_bars
from tests.workflow.test_generation_steps import NO_REPLAY, publish, shared, study, train

__all__ = ["study"]  # a fixture
ARMS = ["SM", "F"]
ONCE = {"seeds": [0], "repeated_arms": [], "replay": NO_REPLAY}


@pytest.fixture(scope="module")
def whole(study: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, pd.DataFrame]:
    """The tables with arms over z_dyn beside those over frames."""
    folder = tmp_path_factory.mktemp("paths")
    for name, section in {
        "state": {"kind": "state", "source": "world", "factorizer": "charged", "seed": 0,
                  "is_sampled": True, "surrogates": []},
        "path": {"num_particles": 4, "seed": 0},
    }.items():  # fmt: skip
        (study / f"{name}.json").write_text(json.dumps(section))
    frames = LatentStore([study / "shard-000.zarr.zip"]).load().frames
    scales = FrameScales(
        torch.from_numpy(frames.mean(0)), torch.from_numpy(frames.std(0))
    )  # fmt: skip
    model = Factorizer(settings(decoder__kind="plain"), scales, 0.0, 0)
    arrays, header = pack_factorizer(model, 0.0)
    factorizer = folder / "factorizer.safetensors"
    write_bundle(factorizer, arrays, {"factorizer": header, "collapse": ""})
    direct = train(study, folder / "direct", ARMS, protocol=ONCE)
    states = folder / "shard-000.zarr.zip"
    run_step(export_states, [
        "--section", study / "state.json", "--model", factorizer, "--device", "cpu",
        "--latents", study / "shard-000.zarr.zip", "--state-latents", states,
        "--representation", "states",
    ])  # fmt: skip
    generators = _trained_over(study, folder, factorizer, direct)
    run_step(evaluate_factorized, [
        *shared(study), "--prediction-section", study / "prediction_evaluation.json",
        "--generator-section", study / "generator.json",
        "--evaluation-section", study / "evaluation.json", "--path-section", study / "path.json",
        "--rollout-section", study / "rollout.json", "--generators", generators,
        "--factorizer", factorizer, "--representation", "states", "--generator", "one_frame",
        "--device", "cpu", "--scores", folder / "path_scores.parquet",
        "--health", folder / "path_health.parquet", "--summary", folder / "path_summary.json",
    ], arms=ARMS)  # fmt: skip
    paths = [
        word
        for name, ending in (("scores", "parquet"), ("health", "parquet"), ("summaries", "json"))
        for word in (f"--path-{name}", folder / f"path_{name.replace('ies', 'y')}.{ending}")
    ]
    return publish(study, direct, study / "generator.json", paths)


def _trained_over(study: Path, folder: Path, factorizer: Path, direct: Path) -> Path:
    """Train over z_dyn, at the work of the direct generators."""
    latents = [
        "--section", study / "prediction.json", "--splits", study / "splits.parquet",
        "--shards", folder / "shard-000.zarr.zip",
    ]  # fmt: skip
    nulls = ["--nulls", folder / "nulls.safetensors"]
    run_step(fit_linear_nulls, [
        *latents, *nulls, "--nulls-section", study / "prediction_nulls.json",
    ])  # fmt: skip
    run_step(fit_keys, [
        "--section", study / "keys.json", "--family-section", study / "last_frame.json",
        "--family", "last_frame", *latents[2:], "--key-file", folder / "keys.safetensors",
    ], lags=[1])  # fmt: skip
    (folder / "protocol.json").write_text((direct.parent / "protocol.json").read_text())
    generators = folder / "generators.safetensors"
    run_step(train_generators, [
        *latents, *nulls, "--generator-section", study / "generator.json",
        "--protocol-section", folder / "protocol.json", "--recipe-section", study / "recipe.json",
        "--null-section", study / "ridge_mixture.json", "--factorizer", factorizer,
        "--direct", direct, "--key-file", folder / "keys.safetensors",
        "--tensorboard", folder / "tensorboard", "--device", "cpu", "--representation", "states",
        "--generator", "one_frame", "--generators", generators,
        "--history", folder / "history.jsonl",
    ], arms=ARMS)  # fmt: skip
    return generators


def test_arms_over_z_dyn_stand_in_the_same_tables(whole: dict[str, pd.DataFrame]):
    """They score the same frames, at most at the direct SM's work, and have a rate."""
    table = whole["generation"]
    over = table.loc[[bool(split_path(arm)[1]) for arm in table["arm"]]]
    assert list(over["arm"]) == [f"{arm}@states" for arm in ARMS]
    assert set(over["representation"]) == {"world"} and len(set(table["num_frames"])) == 1
    names = ["nll_nats", "plain_bound_nats", "innovation_bits_per_s", "state_bits_per_s"]
    assert np.isfinite(over[names].to_numpy(float)).all()
    direct = table.loc[table["arm"].isin(ARMS)]
    assert direct[names[1:]].isna().to_numpy().all()
    work = table.set_index("arm")["f_gen_flops"].to_dict()
    assert 0.9 * work["SM"] < work["SM@states"] <= work["SM"]
    gains = choose(whole["generation_gains"], part="eval")
    pairs = set(zip(gains["arm"], gains["against"], strict=True))
    assert {(f"{arm}@states", arm) for arm in ARMS} <= pairs
    assert ("SM@states", "F@states") in pairs
    ran = choose(whole["generation_health"], arm="SM@states")
    assert list(ran["horizon_frames"]) == [1, 8]
    assert np.isfinite(ran["excess_over_f"].to_numpy(float)).all()


def words(whole: dict[str, pd.DataFrame], is_alone: bool = False) -> list[VerdictRow]:
    """Question 5 from the tables, or from their rows of arms over frames alone."""
    tables = [whole[f"generation{ending}"] for ending in ("", "_gains", "_health", "_replay")]
    if is_alone:
        tables = [one.loc[~one["arm"].astype(str).str.contains("@")] for one in tables]
    generation, gains, health, replay = tables
    return verdict_rows(generation, gains, health, replay, generation_bars(0.02), "world")


def test_the_path_is_told_and_moves_no_word(whole: dict[str, pd.DataFrame]):
    """Question 5 has the same rows with arms over z_dyn and without."""
    told = words(whole)
    extra = [row for row in told if "@" in row.case]
    others = [row for row in told if "@" not in row.case]
    assert list(map(repr, others)) == list(map(repr, words(whole, is_alone=True)))  # NaN and all
    assert len(extra) == 3 and not any(row.is_deciding for row in extra)
    assert "bits/s" in extra[0].sentence and "of its work" in extra[0].sentence


def test_what_is_trained_over_z_dyn_is_the_arms_alone(whole: dict[str, pd.DataFrame]):
    assert whole["generation_replay"].empty
