"""Held-out worlds come in as a user's arrays, through the user's steps, and come out right."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.latents import LatentStore
from engram_audio.artifacts.table import read_table
from engram_audio.calibration.layout import WorldSize
from engram_audio.calibration.published import Published, published_rows
from engram_audio.calibration.registry import make_world
from engram_audio.calibration.world import Draw, simulate
from engram_audio.config import parse_config
from engram_audio.densities.config import PredictionEvaluationSection
from engram_audio.keys.config import KeysSection
from engram_audio.steps import import_arrays, index_arrays, make_splits
from engram_audio.structure.material import part_of_utterances, prepare
from engram_audio.trust.measurement import Analysis, all_truths, tables_of
from engram_audio.trust.oracle_rows import oracle_rows
from engram_audio.trust.sabotage import sabotage_analysis
from tests import studies
from tests.frozen_argv import run_step

CONFIG = parse_config(studies.study("demo"))
EVALUATION = studies.section_of(CONFIG, PredictionEvaluationSection)
ANALYSIS = sabotage_analysis(
    Analysis(
        studies.worlds_structure(CONFIG), studies.section_of(CONFIG, KeysSection),
        studies.worlds_families(CONFIG), CONFIG.calibration.worlds.keys,
        CONFIG.decision.lag_frames, CONFIG.statistics,
    ),
    16,
)  # fmt: skip
HELD_OUT = {
    "ar1_r05": {"correlation": 0.6, "num_dims": 10},
    "type2": {"num_phases": 10, "num_dims": 20, "key_ratio": 0.5, "jump_probability": 0.02},
}


def write_arrays(folder: Path, draw: Draw) -> None:
    """Write one .npy for each utterance, and their table."""
    (folder / "arrays").mkdir()
    block = draw.block
    for number, name in enumerate(block.utterance_ids):
        frames = block.frames[block.offsets[number] : block.offsets[number + 1]]
        np.save(folder / "arrays" / f"{name}.npy", frames)
    columns = {"utterance_id": block.utterance_ids, "speaker_id": block.speaker_ids}
    pd.DataFrame(columns).to_csv(folder / "arrays.csv", index=False)


def flags(**values: Any) -> list[str]:
    return [str(word) for name, value in values.items() for word in (f"--{name}", value)]


def imported(folder: Path) -> tuple[LatentStore, Path]:
    """Run the steps of a user's arrays and return the shard and the splits."""
    section = {
        "kind": "arrays", "path": str(folder / "arrays"), "table": str(folder / "arrays.csv"),
        "frame_rate_hz": 12.5, "latent_space": "planted", "is_causal": True, "num_shards": 1,
    }  # fmt: skip
    (folder / "section.json").write_text(json.dumps(section))
    splits = {"seeds": [0], "eval_fraction": 0.4, "val_fraction": 0.1, "select_fraction": 0.1}
    (folder / "splits.json").write_text(json.dumps(splits))
    common = {"section": folder / "section.json", "table": folder / "arrays.csv"}
    tables = {name: folder / f"{name}.parquet" for name in ("utterances", "exclusions", "shards")}
    run_step(index_arrays, flags(**common, **tables, representation="mine"))
    shard = folder / "shard-000.zarr.zip"
    run_step(
        import_arrays,
        flags(**common, shards=tables["shards"], latents=shard, representation="mine", shard="000"),
    )
    run_step(
        make_splits,
        [
            *flags(section=folder / "splits.json", utterances=tables["utterances"]),
            *flags(splits=folder / "splits.parquet"),
            "--split-seed",
            "0",
            "--corpus",
            "mine",
        ],
    )
    return LatentStore([shard]), folder / "splits.parquet"


@pytest.mark.parametrize("name", list(HELD_OUT))
def test_held_out_worlds_as_user_arrays_come_out_right(name: str, tmp_path: Path):
    """Other parameters, another seed, speakers split by the workflow: every row within."""
    world = make_world(name, 23, **HELD_OUT[name])
    draw = simulate(world, WorldSize(24, 8, 8))
    write_arrays(tmp_path, draw)
    store, splits = imported(tmp_path)
    table = read_table(splits, ["utterance_id", "split"])
    part_of = part_of_utterances(store.index["utterance_id"], table, str(splits))
    material = prepare(store.blocks, part_of, ANALYSIS.section)
    planted = all_truths(name, world, draw, ANALYSIS.section, 16, 6)
    structure, linear = tables_of(planted, material, part_of, ANALYSIS)
    published = Published(
        structure, linear, ANALYSIS.keys, ANALYSIS.lag_frames, ANALYSIS.section.window_frames
    )
    rows = published_rows(name, world, planted.truths, published)
    oracle = world.oracle()
    assert oracle is not None
    rows += oracle_rows(
        name,
        oracle,
        planted.truths,
        material,
        part_of,
        EVALUATION,
    )
    assert {"structure", "injected oracle"} <= {row.stage for row in rows}
    failing = [row for row in rows if not row.passes]
    assert not failing, pd.DataFrame(failing).to_string()
