"""One shard or ten: the same frames in the same blocks, so the same tables to the bit.

Speakers are dealt as the corpus stage deals them: longest first, to the shard that is lightest. So
neighbours in one shard lie far apart in ten.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from engram_audio.artifacts.latents import LatentMetadata, LatentStore, write_latent_shard
from engram_audio.artifacts.table import read_table, write_table
from engram_audio.corpus.shards import assign_shards
from engram_audio.latents.block import LatentBlock, concatenate_blocks, some_utterances
from engram_audio.steps import fit_keys, score_linear_baselines, score_structure_keys
from tests.frozen_argv import run_step
from tests.unit.key_material import keys_section
from tests.unit.test_structure_scores import KMEANS, PCA, section

SPEAKERS, UTTERANCES, DIMS = 13, 4, 5
METADATA = LatentMetadata("planted", DIMS, 12.5, "planted", "0" * 64, True, 1)
COUNTS = (1, 3, 10)


def utterances() -> tuple[LatentBlock, pd.DataFrame]:
    """Speakers of unequal length in the order of their names, and the table of their utterances."""
    generator = np.random.default_rng(3)
    prototypes = generator.normal(size=(6, DIMS))
    pieces, rows = [], []
    for speaker in range(SPEAKERS):
        for number in range(UTTERANCES):
            length = int(generator.integers(15, 90))
            phase = (generator.integers(6) + np.arange(length)) % 6
            pieces.append(prototypes[phase] + 0.5 * generator.normal(size=(length, DIMS)))
            rows.append((f"s{speaker:02d}-u{number}", f"s{speaker:02d}", float(length)))
    frames = np.concatenate(pieces).astype(np.float32)
    table = pd.DataFrame(rows, columns=["utterance_id", "speaker_id", "duration_s"])
    offsets = np.cumsum([0, *map(len, pieces)])
    energy = generator.random(len(frames)).astype(np.float32) + 0.1
    names = (table[column].to_numpy(object) for column in ("utterance_id", "speaker_id"))
    return LatentBlock(frames, energy, offsets, *names), table


def dealt(folder: Path, num_shards: int) -> list[Path]:
    """Write the utterances as so many shards."""
    block, table = utterances()
    shards = assign_shards(table, num_shards, "num_shards")
    place = {str(name): number for number, name in enumerate(block.utterance_ids)}
    paths = []
    for shard, rows in shards.groupby("shard"):
        numbers = [place[name] for name in rows["utterance_id"]]
        own = concatenate_blocks([some_utterances(block, one, one + 1) for one in numbers])
        paths.append(folder / f"shard-{shard}.zarr.zip")
        write_latent_shard(paths[-1], own, np.arange(len(own.frames)) / 12.5, METADATA, {})
    return paths


def split() -> dict[str, str]:
    """Every third speaker is eval, every fourth utterance of the others val."""
    return {
        name: "eval" if int(speaker[1:]) % 3 == 2 else ("val" if name.endswith("3") else "train")
        for name, speaker in utterances()[1][["utterance_id", "speaker_id"]].itertuples(index=False)
    }


@pytest.mark.parametrize(("num_shards", "block_frames"), [(3, 500), (10, 500), (10, 65536)])
def test_blocks_are_the_same_to_the_bit(tmp_path: Path, num_shards: int, block_frames: int):
    train = {name for name, part in split().items() if part == "train"}
    for wanted in (None, train):
        one, many = (
            list(LatentStore(dealt(tmp_path / f"{count}", count)).blocks(wanted, block_frames))
            for count in (1, num_shards)
        )
        assert len(one) == len(many)
        for ours, theirs in zip(one, many, strict=True):
            for left, right in zip(ours, theirs, strict=True):
                np.testing.assert_array_equal(left, right)


def test_the_index_is_in_reading_order(tmp_path: Path):
    store = LatentStore(dealt(tmp_path, 10))
    read = [name for block in store.blocks(block_frames=200) for name in block.utterance_ids]
    assert store.index["utterance_id"].tolist() == read == sorted(read)
    offsets = np.diff(utterances()[0].offsets)
    assert store.index["num_frames"].tolist() == offsets.tolist()
    assert set(store.index["shard"]) == set(range(10))


def test_a_single_shard_keeps_its_own_order(tmp_path: Path):
    """Also where its speakers are not sorted, as those of a planted world."""
    block, _ = utterances()
    pieces = [some_utterances(block, 4 * one, 4 * one + 4) for one in (2, 0, 1)]
    own = concatenate_blocks(pieces)
    path = tmp_path / "shard-000.zarr.zip"
    write_latent_shard(path, own, np.arange(len(own.frames)) / 12.5, METADATA, {})
    assert LatentStore([path]).load().speaker_ids[::4].tolist() == ["s02", "s00", "s01"]


def test_tables_of_the_structure_stage_are_the_same_to_the_bit(tmp_path: Path):
    parts = split()
    splits = pd.DataFrame({"utterance_id": list(parts), "split": list(parts.values())})
    one, *others = (tables(tmp_path / f"{count}", splits, count) for count in COUNTS)
    for other in others:
        for name, table in one.items():
            pd.testing.assert_frame_equal(table, other[name], check_exact=True, obj=name)


def tables(folder: Path, splits: pd.DataFrame, num_shards: int) -> dict[str, pd.DataFrame]:
    """Fit keys on so many shards and score them; return all tables."""
    folder.mkdir()
    shards = [str(path) for path in dealt(folder, num_shards)]
    write_table(folder / "splits.parquet", splits, {})
    (folder / "structure.json").write_text(section().model_dump_json())
    own_keys = keys_section(window_frames=3).model_dump_json()
    (folder / "keys.json").write_text(own_keys)
    (folder / "pca.json").write_text(PCA % ('["raw","speaker_centred"]', KMEANS))
    data = ["--splits", str(folder / "splits.parquet"), "--shards", *shards]
    keys = ["--section", str(folder / "keys.json"), "--family-section", str(folder / "pca.json")]
    family = ["--family", "pca"]
    made = ["--key_file", str(folder / "pca.safetensors")]
    run_step(fit_keys, [*keys, *data, *made, *family], lags=[1, 2])
    names = ("scores", "key_table", "cells", "curves", "ngrams")
    outputs = [
        word for name in names for word in (f"--{name}", str(folder / f"{name}.parquet"))
    ]  # fmt: skip
    stage = ["--section", str(folder / "structure.json"), *data]
    run_step(score_structure_keys, [*stage, "--key-file", made[1], *outputs, *family])
    run_step(score_linear_baselines, [*stage, "--linear", str(folder / "linear.parquet")])
    return {name: read_table(folder / f"{name}.parquet", []) for name in (*names, "linear")}
