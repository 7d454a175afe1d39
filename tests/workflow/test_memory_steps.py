"""The memory stage's steps on a small representation on disk: fit, train, match, score, publish."""

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.bundle import read_bundle, write_bundle
from engram_audio.artifacts.json_document import read_json, write_json
from engram_audio.artifacts.latents import LatentMetadata, write_latent_shard
from engram_audio.artifacts.manifests import read_manifest
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.densities.comparison import SumTable
from engram_audio.errors import InputError
from engram_audio.memory.matching import LARGEST_EXCESS
from engram_audio.prediction.assess import TABLES
from engram_audio.steps import (
    evaluate_memory,
    evaluate_nulls,
    fit_linear_nulls,
    fit_memory,
    fit_ridge_mixture,
    tabulate_memory,
    train_curve,
    train_fold_density,
    train_matched,
    train_memory,
    tune_curve,
    tune_density,
    tune_matched,
    tune_memory,
)
from engram_audio.steps._tuned import read_tuning
from tests.frozen_argv import run_step, steps_until_written
from tests.unit.memory_material import engram, lookup, table_of
from tests.unit.prediction_material import head_settings, make_block, recipe
from tests.workflow.fitted_keys import key_sections, run_fit_keys
from tests.workflow.test_prediction_training import SECTION, command, environment

STAGE = {"target": "position", "num_folds": 2}
CONTROLS = {
    "head": "h", "recipe": "r", "maximum_width": 32, "curve_widths": [16], "datastore_frames": 200,
    "datastore_neighbors": 8, "datastore_queries": 200, "batch_frames": 256, "seed": 0,
}  # fmt: skip
EVALUATION = {
    "slices": ["all", "medial"], "medial_range": [0.17, 0.83], "speech_range_db": 35.0,
    "maximum_train_frames": 1000,
    "batch_frames": 256, "num_samples": 4, "maximum_sampled_frames": 100,
    "maximum_stored_frames": 1000, "num_negatives": 3, "num_worst_frames": 2,
    "trimmed_fraction": 0.01, "quantiles": [0.5], "principal_subspaces": [2],
    "num_calibration_bins": 4, "rollout_horizon_frames": 4, "num_rollout_starts": 4,
    "divergence_factor": 10.0, "seed": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """Latents of five speakers of a table world, their splits, nulls and frozen sections."""
    folder = tmp_path_factory.mktemp("study")
    block = make_block(table_of(), 5, 10, 0)
    metadata = LatentMetadata("world", 3, 12.5, "world", "0", True, 0)
    time_s = np.arange(len(block.frames)) / 12.5
    write_latent_shard(folder / "shard-000.zarr.zip", block, time_s, metadata, {})
    parts = ["val" if n % 5 == 0 else "eval" if n >= 40 else "train" for n in range(50)]
    splits = pd.DataFrame({"utterance_id": block.utterance_ids, "split": parts})
    write_table(folder / "splits.parquet", splits, {})
    head = head_settings("gaussian_mixture", num_components=1)
    sections = {
        "prediction": SECTION, "prediction_nulls": {"orders": [1], "ridges": [1e-4]},
        "prediction_evaluation": EVALUATION, "memory": STAGE, "memory_controls": CONTROLS,
        "lookup": lookup(key="last_frame.raw.kmeans_400").model_dump(mode="json"),
        "centred": lookup(key="last_frame.speaker_centred.kmeans_16").model_dump(mode="json"),
        "engram": engram().model_dump(mode="json"),
        "greedy": lookup(key="last_frame.raw.kmeans_100000").model_dump(mode="json"),
        "head": head.model_dump(mode="json"), "recipe": recipe().model_dump(mode="json"),
        **key_sections(SECTION["window_frames"], [16, 400, 100_000]),
    }  # fmt: skip
    for name, value in sections.items():
        (folder / f"{name}.json").write_text(json.dumps(value))
    run(fit_linear_nulls, folder, nulls_section="prediction_nulls", nulls="nulls.safetensors",
        with_nulls=False)  # fmt: skip
    run_fit_keys(folder)
    return folder


def arguments(folder: Path, with_nulls: bool = True, **named: Any) -> list[str]:
    """`--name value` of files below the folder (sections by their stem) and of plain values."""
    parts = [
        "--section", str(folder / "prediction.json"), "--splits", str(folder / "splits.parquet"),
        "--shards", str(folder / "shard-000.zarr.zip"),
    ]  # fmt: skip
    if with_nulls:
        parts += ["--nulls", str(folder / "nulls.safetensors")]
    for name, value in named.items():
        values = value if isinstance(value, list) else [value]
        flag = f"--{name.replace('_', '-')}"
        if name.endswith("_section"):
            values = [str(folder / f"{own}.json") for own in values]
        elif "." in values[0]:
            values = [str(folder / own) for own in values]
        parts += [flag, *values]
    return parts


def run(step: Any, folder: Path, with_nulls: bool = True, **named: Any) -> None:
    run_step(step, arguments(folder, with_nulls, **named))


def test_select_and_the_ridge_mixture_go_through_the_steps(study: Path, tmp_path: Path):
    """Speaker 0 is select: the nulls are chosen on it, and it is scored as a part of its own."""
    for path in study.iterdir():
        (tmp_path / path.name).symlink_to(path)
    splits = read_table(study / "splits.parquet", ["utterance_id", "split"])
    splits.loc[:9, "split"] = "select"
    (tmp_path / "splits.parquet").unlink()
    write_table(tmp_path / "splits.parquet", splits, {})
    null = {"num_components": 1, "maximum_components": 2, "minimum_gain_nats": 0.01,
            "maximum_frames": 1000}  # fmt: skip
    (tmp_path / "ridge_mixture.json").write_text(json.dumps(null))
    (tmp_path / "nulls.safetensors").unlink()
    run(fit_linear_nulls, tmp_path, nulls_section="prediction_nulls", nulls="nulls.safetensors",
        with_nulls=False)  # fmt: skip
    run(fit_ridge_mixture, tmp_path, null_section="ridge_mixture", seed="0",
        ridge_mixture="ridge.safetensors")  # fmt: skip
    outputs: dict[str, Any] = {name: f"null_{name}.parquet" for name in TABLES}
    run(evaluate_nulls, tmp_path, evaluation_section="prediction_evaluation", seed="0",
        ridge_mixture="ridge.safetensors", **outputs)  # fmt: skip
    scores = read_table(tmp_path / "null_scores.parquet", ["model", "event", "part", "nll"])
    assert set(scores["part"]) == {"train", "val", "select", "eval"}
    mixed = scores[scores["model"] == "ridge_mixture"]
    assert set(zip(mixed["lag_frames"], mixed["event"], strict=True)) == {
        (lag, event) for lag in SECTION["lags_frames"] for event in SECTION["targets"]
    }
    _, header = read_bundle(tmp_path / "nulls.safetensors")
    table = SumTable(scores)
    for null in header["nulls"]:
        if null["name"] == "ridge":
            cell = table.choice_cell(null["lag_frames"], null["event"])
            nll = table.mean_nll("ridge", cell)
            assert cell.part == "select" and nll is not None
            assert float(nll.value) == pytest.approx(null["choice_nll"], abs=1e-3)


FITTED: dict[str, Any] = {"stage_section": "memory", "lag": "1", "seed": "0", "device": "cpu"}


@pytest.fixture(scope="module")
def evaluated(study: Path) -> Path:
    """A lookup on the linear base, its matched models, its scores."""
    run(fit_memory, study, memory_section="lookup", base="linear", memory="memory.safetensors",
        key_file="keys.safetensors", **FITTED)  # fmt: skip
    run(train_matched, study, controls_section="memory_controls", head_section="head",
        recipe_section="recipe", memory="memory.safetensors", tensorboard="none",
        matched="matched.safetensors", **FITTED)  # fmt: skip
    run(evaluate_memory, study, evaluation_section="prediction_evaluation",
        controls_section="memory_controls", memory="memory.safetensors",
        matched="matched.safetensors", base="linear", scores="scores.parquet",
        usage="usage.parquet", summary="summary.json", **FITTED)  # fmt: skip
    return study


def test_every_control_is_scored_on_the_same_frames(evaluated: Path):
    scores = pd.read_parquet(evaluated / "scores.parquet")
    full = scores.loc[~scores["model"].str.startswith("knn")]
    counts = full.groupby(["part", "slice", "model"])["num_frames"].sum().unstack()
    assert set(counts.columns) == {
        "memory", "shuffled_keys", "knock_out", "random_values", "constant_gate",
        "matched_parameters", "matched_flops",
    }  # fmt: skip
    assert (counts.nunique(axis=1) == 1).all()
    means = full.query("part == 'eval' and slice == 'all'").groupby("model")[["nll", "num_frames"]]
    mean = means.sum().pipe(lambda sums: sums["nll"] / sums["num_frames"])
    assert mean["memory"] < mean["knock_out"] - 1  # there is something to look up
    assert mean["memory"] < mean["shuffled_keys"] - 1


def test_a_memory_of_a_centred_key_goes_through_the_steps(evaluated: Path):
    """Speakers are alike here, so it beats its base and its shuffled keys as a raw key does."""
    run(fit_memory, evaluated, memory_section="centred", base="linear",
        memory="centred.safetensors", key_file="keys.safetensors", **FITTED)  # fmt: skip
    run(evaluate_memory, evaluated, evaluation_section="prediction_evaluation",
        controls_section="memory_controls", memory="centred.safetensors",
        matched="matched.safetensors", base="linear", scores="centred_scores.parquet",
        usage="centred_usage.parquet", summary="centred.json", **FITTED)  # fmt: skip
    scores = pd.read_parquet(evaluated / "centred_scores.parquet")
    own = scores.query("part == 'eval' and slice == 'all'").groupby("model")[["nll", "num_frames"]]
    mean = own.sum().pipe(lambda sums: sums["nll"] / sums["num_frames"])
    assert mean["memory"] < mean["knock_out"] - 0.5
    assert mean["memory"] < mean["shuffled_keys"] - 0.5
    assert np.isfinite(mean["knn"])


def test_the_summary_states_sizes_and_choices(evaluated: Path):
    summary = read_json(evaluated / "summary.json")
    budgets = summary["budgets"]
    for name, field in (("matched_parameters", "parameters"), ("matched_flops", "flops")):
        held, budget = budgets[name][field], budgets["memory"][field]
        fits = summary["misfits"][name] == ""
        assert fits == (budget <= held <= LARGEST_EXCESS * budget)
    assert summary["kernel"]["weight"] > 0
    assert summary["kernel"]["base"] == summary["base_chosen"]
    assert {record["base"] for record in summary["tried"]} >= {"ridge_full"}
    usage = pd.read_parquet(evaluated / "usage.parquet").set_index(["model", "part"])
    used = usage.loc[("memory", "eval")]
    assert 1 <= used["num_slots_used"] <= used["num_slots"] <= 400
    assert 1 <= used["slot_perplexity"] <= used["num_slots_used"]


def test_matched_models_of_another_base_are_trained_anew(
    evaluated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A killed run goes on with the same base model, and starts anew with another."""
    base = tmp_path / "base.safetensors"

    def taken(note: str) -> int:
        write_bundle(base, {"weight": np.zeros(2)}, {"note": note})
        words = arguments(
            evaluated, controls_section="memory_controls", head_section="head",
            recipe_section="recipe", memory="memory.safetensors", tensorboard="none",
            base_model=str(base), matched=str(tmp_path / "matched.safetensors"), **FITTED,
        )  # fmt: skip
        return steps_until_written(train_matched, words, monkeypatch)

    assert taken("one") == 2 * recipe().num_steps
    assert taken("one") == 0
    assert taken("another") == 2 * recipe().num_steps


@pytest.mark.parametrize("step", [train_fold_density, train_memory, train_matched])
def test_divergence_is_one_clear_line_in_every_training_step(step: Any, evaluated: Path):
    """A learning rate beyond all reason: the line names the recipe, its value and what to do."""
    wild = recipe(learning_rate=1e9, gradient_clip=1e9, weight_decay=0.0)
    (evaluated / "wild.json").write_text(wild.model_dump_json())
    own: dict[str, Any] = {
        train_fold_density: {"memory_section": "memory", "fold": "0", "model": "d.safetensors"},
        train_memory: {
            "memory_section": "engram", "stage_section": "memory", "memory": "e.safetensors",
            "key_file": "keys.safetensors",
        },
        train_matched: {
            "controls_section": "memory_controls", "stage_section": "memory",
            "memory": "memory.safetensors", "matched": "f.safetensors",
        },
    }[step]  # fmt: skip
    with pytest.raises(
        InputError, match=r"^wild: .* diverged: .*; lower learning_rate from 1e\+09"
    ):
        run(step, evaluated, recipe_section="wild", head_section="head", lag="1", seed="0",
            device="cpu", tensorboard="none", **own)  # fmt: skip
    assert not [path for name in "def" for path in evaluated.glob(f"{name}.safetensors")]


def test_a_head_under_a_memory_needs_its_folds(study: Path, tmp_path: Path):
    done = subprocess.run(
        command("fit_memory", arguments(study, memory_section="lookup", base="gaussian_mixture",
                key_file="keys.safetensors", memory=str(tmp_path / "m.safetensors"), **FITTED)),
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "needs its model and 2 folds" in done.stderr.strip().splitlines()[-1]


def test_more_codes_than_frames_is_one_clear_line(study: Path, tmp_path: Path):
    output = tmp_path / "m.safetensors"
    done = subprocess.run(
        command("fit_memory", arguments(study, memory_section="greedy", base="linear",
                key_file="keys.safetensors", memory=str(output), **FITTED)),
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert (
        "key last_frame.raw.kmeans_100000: 100000 cells need"
        in done.stderr.strip().splitlines()[-1]
    )
    assert not output.exists()


def test_a_fold_model_has_not_seen_its_fold(study: Path):
    """Trained on other speakers: two folds are two models, the same fold twice the same bits."""
    for name, fold in (("a", "0"), ("b", "0"), ("c", "1")):
        run(train_fold_density, study, memory_section="memory", head_section="head",
            recipe_section="recipe", lag="1", seed="0", fold=fold, device="cpu",
            tensorboard="none", model=f"{name}.safetensors")  # fmt: skip
    first, again, other = ((study / f"{name}.safetensors").read_bytes() for name in "abc")
    assert first == again != other


GRID = {
    "points": ({"dropout": 0.0, "weight_decay": 0.1}, {"dropout": 0.4, "weight_decay": 0.0}),
    "last_learning_rate_factors": (0.5,),
}


def test_every_arm_tries_the_same_points_and_is_trained_with_its_own(
    evaluated: Path,
):
    """Three points each: one for a head, one for an Engram memory, one for each matched net."""
    tried = recipe(tuning=GRID, num_steps=20)
    (evaluated / "tried.json").write_text(tried.model_dump_json())
    common: dict[str, Any] = {
        "recipe_section": "tried",
        "head_section": "head", "lag": "1", "seed": "0", "device": "cpu", "tensorboard": "none",
    }  # fmt: skip
    own: dict[Any, dict[str, Any]] = {
        tune_density: {},
        tune_memory: {"stage_section": "memory", "memory_section": "engram",
                      "key_file": "keys.safetensors"},
        tune_matched: {"stage_section": "memory", "controls_section": "memory_controls",
                       "memory": "memory.safetensors"},
    }  # fmt: skip
    arms = {}
    for step, arguments_of in own.items():
        name = step.__name__.rpartition(".")[2]
        files: dict[str, Any] = {
            "tuning": f"{name}.tuning.json", "scores": f"{name}.parquet"
        }  # fmt: skip
        run(step, evaluated, **common, **arguments_of, **files)
        for arm in read_tuning(evaluated / files["tuning"], evaluated / files["scores"]):
            arms[arm.name] = arm
    assert set(arms) == {"head", "memory", "matched_parameters", "matched_flops"}
    points = {name: arm.header["points"] for name, arm in arms.items()}
    assert all(len(of_arm) == 3 and of_arm[:2] == points["head"][:2] for of_arm in points.values())
    assert {part for arm in arms.values() for part in arm.scores["part"]} == {"val", "eval"}
    run(train_matched, evaluated, controls_section="memory_controls", head_section="head",
        recipe_section="tried", memory="memory.safetensors", tensorboard="none",
        tuning="tune_matched.tuning.json", matched="tuned.safetensors", **FITTED)  # fmt: skip
    _publish(evaluated, common)
    _, header = read_bundle(evaluated / "tuned.safetensors")
    for name in ("matched_parameters", "matched_flops"):
        chosen = points[name][arms[name].header["chosen"]]
        assert header["models"][name]["head"]["trunk"]["dropout"] == chosen["dropout"]


def _name_memory(path: Path, memory: str) -> None:
    """State a memory's name, as a rule's wildcard would; here `memory` is the file that is read."""
    manifest = read_manifest(path)
    assert manifest is not None
    manifest = {**manifest, "identity": {**manifest["identity"], "memory": memory}}
    if path.suffix == ".json":
        write_json(path, {**read_json(path), **manifest})
    else:
        write_table(path, pd.read_parquet(path), manifest)


def _publish(folder: Path, common: dict[str, Any]) -> None:
    """A curve, tuned and trained, and the tables of all that was tuned."""
    curve: dict[str, Any] = {
        **common, "stage_section": "memory", "controls_section": "memory_controls",
    }  # fmt: skip
    named: dict[str, Any] = {"representation": "world", "base": "linear"}
    run(tune_curve, folder, **curve, **named, tuning="curve_tuning.json",
        scores="curve_tuning.parquet")  # fmt: skip
    run(train_curve, folder, **curve, **named, tuning="curve_tuning.json", sizes="curve.json",
        scores="curve.parquet")  # fmt: skip
    run(tune_matched, folder, **curve, **named, memory="memory.safetensors", tuning="own.json",
        scores="own.parquet")  # fmt: skip
    run(evaluate_memory, folder, evaluation_section="prediction_evaluation",
        controls_section="memory_controls", memory="memory.safetensors",
        matched="tuned.safetensors", scores="own_scores.parquet", usage="own_usage.parquet",
        summary="own_summary.json", **named, **FITTED)  # fmt: skip
    for name in ("own.json", "own_scores.parquet"):
        _name_memory(folder / name, "robust")
    summary = {"identity": {"representation": "world"}, "metadata": {"frame_rate_hz": 12.5}}
    write_json(folder / "latents.json", summary)
    null = pd.read_parquet(folder / "own_scores.parquet").query("model == 'knock_out'")
    null = null.assign(model="gaussian_marginal_position", lag_frames=0, event="position")
    write_table(folder / "nulls.parquet", null, {"identity": {"representation": "world",
                                                              "seed": "0"}})  # fmt: skip
    (folder / "verdict.json").write_text(json.dumps({"minimum_gain_nats": 0.02}))
    (folder / "statistics.json").write_text(json.dumps({"confidence": 0.95}))
    run_step(tabulate_memory, [
        "--stage-section", folder / "memory.json", "--verdict-section", folder / "verdict.json",
        "--evaluation-section", folder / "prediction_evaluation.json",
        "--statistics-section", folder / "statistics.json",
        "--scores", folder / "own_scores.parquet", "--usage", folder / "own_usage.parquet",
        "--run-summaries", folder / "own_summary.json", "--summaries", folder / "latents.json",
        "--direct-scores", folder / "nulls.parquet",
        "--curve-sizes", folder / "curve.json", "--curve-scores", folder / "curve.parquet",
        "--curve-tunings", folder / "curve_tuning.json",
        "--curve-tuning-scores", folder / "curve_tuning.parquet",
        "--tunings", folder / "own.json", "--tuning-scores", folder / "own.parquet",
        "--memory", folder / "memory.csv", "--memory-verdict", folder / "memory_verdict.csv",
        "--memory-tuning", folder / "memory_tuning.csv",
        "--memory-curve", folder / "memory_curve.csv",
    ])  # fmt: skip
    tables = {name: pd.read_csv(folder / f"{name}.csv") for name in (
        "memory", "memory_tuning", "memory_curve")}  # fmt: skip
    rows = tables["memory"].query("part == 'eval' and slice == 'all'").set_index("control")
    for name in ("matched_parameters", "matched_flops"):
        row = rows.loc[name]
        assert row["near_gain_nats_lowest"] <= row["gain_nats"] <= row["near_gain_nats_highest"]
    chosen = tables["memory_tuning"].query("is_chosen")["arm"].tolist()
    assert sorted(chosen) == ["matched_flops", "matched_parameters", "net_0", "net_1"]
    drawn = tables["memory_curve"].query("part == 'eval'").sort_values("flops")
    assert drawn["net"].tolist() == ["net_0", "net_1"]
    assert bool(np.isfinite(drawn["nll_nats"].to_numpy(float)).all())


def test_an_engram_memory_is_scored_beside_its_controls(study: Path, evaluated: Path):
    run(train_memory, study, memory_section="engram", head_section="head",
        recipe_section="recipe", tensorboard="none", memory="engram.safetensors",
        key_file="keys.safetensors", **FITTED)  # fmt: skip
    run(train_matched, study, controls_section="memory_controls", head_section="head",
        recipe_section="recipe", memory="engram.safetensors", tensorboard="none",
        matched="engram_matched.safetensors", **FITTED)  # fmt: skip
    run(evaluate_memory, study, evaluation_section="prediction_evaluation",
        controls_section="memory_controls", memory="engram.safetensors",
        matched="engram_matched.safetensors", base="h", scores="engram_scores.parquet",
        usage="engram_usage.parquet", summary="engram_summary.json", **FITTED)  # fmt: skip
    scores = pd.read_parquet(study / "engram_scores.parquet")
    assert {"memory", "shuffled_keys", "knock_out", "constant_gate"} <= set(scores["model"])
    queries = scores.loc[scores["model"].str.startswith("knn")]
    assert set(queries["model"]) == {"knn", "knn_base", "knn_memory"}
    counts = queries.groupby(["part", "slice", "model"])["num_frames"].sum().unstack()
    assert (counts.nunique(axis=1) == 1).all()
    on_eval = queries.query("part == 'eval' and slice == 'all'").groupby("model")["nll"].sum()
    assert on_eval["knn"] < on_eval["knn_base"]  # a table: there is something to look up
    tried = {record["base"] for record in read_json(evaluated / "summary.json")["tried"]}
    assert read_json(study / "engram_summary.json")["kernel"]["base"] in tried
    own = scores.loc[scores["model"] == "memory"]
    assert np.isfinite(own[["nll", "sse", "gate", "hit", "first_hit"]].to_numpy()).all()
    assert (own["gate"] <= own["num_frames"]).all()
