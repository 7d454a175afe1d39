"""The scoring steps on shards of a small representation: files in, tables out."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.latents import LatentMetadata, write_latent_shard
from engram_audio.artifacts.table import read_table, read_table_manifest, write_table
from engram_audio.errors import InputError
from engram_audio.steps import fit_keys, score_linear_baselines, score_structure_keys
from engram_audio.structure.key_tables import (
    CELL_COLUMNS,
    CURVE_COLUMNS,
    KEY_COLUMNS,
    NGRAM_COLUMNS,
    SCORE_COLUMNS,
)
from engram_audio.structure.linear import LINEAR_COLUMNS
from tests.frozen_argv import run_step
from tests.unit.key_material import keys_section
from tests.unit.test_structure_scores import KMEANS, PCA, frames_of_speech, section

COLD_START = 2
METADATA = LatentMetadata("planted", 5, 12.5, "planted", "0" * 64, True, COLD_START)


@pytest.fixture
def inputs(tmp_path: Path) -> dict[str, Path | list[Path]]:
    blocks, part_of = frames_of_speech()
    shards = []
    for number, block in enumerate(blocks):
        shards.append(tmp_path / f"shard-{number:03d}.zarr.zip")
        write_latent_shard(shards[-1], block, np.arange(len(block.frames)) / 12.5, METADATA, {})
    splits = pd.DataFrame({"utterance_id": list(part_of), "split": list(part_of.values())})
    write_table(tmp_path / "splits.parquet", splits, {})
    (tmp_path / "structure.json").write_text(section().model_dump_json())
    (tmp_path / "keys.json").write_text(keys_section(window_frames=3).model_dump_json())
    (tmp_path / "keys.pca.json").write_text(PCA % ('["raw"]', KMEANS))
    return {
        "section": tmp_path / "structure.json",
        "splits": tmp_path / "splits.parquet",
        "shards": shards,
    }


def command(inputs, **outputs: Path) -> list[str]:
    words = []
    for name, value in {**inputs, **outputs}.items():
        words += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    return words


def test_keys_are_written_with_their_columns_and_provenance(inputs, tmp_path):
    names = {
        "scores": SCORE_COLUMNS, "key_table": KEY_COLUMNS, "cells": CELL_COLUMNS,
        "curves": CURVE_COLUMNS, "ngrams": NGRAM_COLUMNS,
    }  # fmt: skip
    outputs = {name: tmp_path / "out" / f"{name}.parquet" for name in names}
    keys = tmp_path / "pca.safetensors"
    files = {"splits": inputs["splits"], "shards": inputs["shards"]}
    fit = {"section": tmp_path / "keys.json", "family-section": tmp_path / "keys.pca.json"}
    run_step(fit_keys, [*command({**fit, **files}, key_file=keys), "--family", "pca"], lags=[1, 2])
    own = {**inputs, "key-file": keys}
    run_step(score_structure_keys, [*command(own, **outputs), "--family", "pca"])
    tables = {name: read_table(outputs[name], columns) for name, columns in names.items()}
    for name, columns in names.items():
        assert tuple(tables[name].columns) == columns
        assert len(tables[name]) > 0
    digests = read_table_manifest(outputs["scores"])["section_digests"]
    assert sorted(digests) == ["structure"]
    blocks, _ = frames_of_speech()
    lengths = np.concatenate([np.diff(block.offsets) for block in blocks]) - COLD_START
    scored = tables["scores"].query(
        "control == 'none' and subspace == 'all' and slice == 'all' and lag_frames == 1"
    )
    # outside train every frame but the cold start and W - 1 + max lag = 4 frames is scored
    outside = np.array([part != "train" for part in frames_of_speech()[1].values()])
    assert scored["num_frames"].sum() == np.maximum(lengths - 4, 0)[outside].sum()


def test_linear_baselines_are_written(inputs, tmp_path):
    run_step(score_linear_baselines, command(inputs, linear=tmp_path / "linear.parquet"))
    table = read_table(tmp_path / "linear.parquet", LINEAR_COLUMNS)
    assert set(table["model"]) == {"ridge", "ar1", "white_noise"}
    assert set(table["part"]) == {"train", "val", "eval"}


def test_latents_without_a_split_are_refused_by_name(inputs, tmp_path):
    write_table(
        tmp_path / "splits.parquet", pd.DataFrame({"utterance_id": ["x"], "split": ["train"]}), {}
    )
    with pytest.raises(InputError, match="lacks utterance s0-u0"):
        run_step(score_linear_baselines, command(inputs, linear=tmp_path / "linear.parquet"))
